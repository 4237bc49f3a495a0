"""Adapters: each recorded event becomes the normal form, and whatever else a source sends is named or passed over."""

import copy
from collections.abc import Iterator
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.webhooks.cases import RECORDED, recorded, source_of
from yellowbooks.jobs import Fault, Invalid
from yellowbooks.webhooks import SOURCES, Ignored, SignedIn
from yellowbooks.webhooks.body import Body
from yellowbooks.webhooks.normal import job_id, passed_over, provider_of, sign_in

BY_NAME = {path.stem: path for path in RECORDED}
each = pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)


def read(source: str, body: Any) -> SignedIn | Ignored:
    return SOURCES[source].read(Body(body))


def changed(name: str, path: str, value: Any) -> SignedIn | Ignored:
    """What a recorded event becomes with another value at a path; `...` removes it."""
    body = recorded(BY_NAME[name])["body"]
    *steps, last = path.split(".")
    place = body
    for step in steps:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return read(source_of(BY_NAME[name]), body)


def faults(name: str, path: str, value: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        changed(name, path, value)
    return [(fault.field, fault.why) for fault in caught.value.faults]


def test_there_is_a_recorded_event_of_every_source() -> None:
    assert {source_of(path) for path in RECORDED} == set(SOURCES)


@each
def test_a_recorded_event_becomes_the_normal_form(path: Path) -> None:
    case = recorded(path)
    assert case["documented"]
    event = read(source_of(path), case["body"])
    assert isinstance(event, SignedIn)
    defaults = {one.name: None for one in fields(SignedIn)} | {"client_hints": {}}
    wanted = defaults | case["normal"] | {"occurred_at": datetime.fromisoformat(case["normal"]["occurred_at"])}
    if wanted["event_id"] == "DIGEST":
        wanted["event_id"] = Body(case["body"]).digest
    assert asdict(event) == wanted


@each
def test_a_recorded_event_is_a_job_whose_id_is_the_events(path: Path) -> None:
    case = recorded(path)
    event = read(source_of(path), case["body"])
    assert isinstance(event, SignedIn)
    payload, dropped = sign_in(source_of(path), event)
    assert dropped == []
    assert list(payload.faults()) == []
    assert payload.job_id == f"{source_of(path)}.{event.event_id}"
    assert (payload.user_id, payload.email) == (case["normal"]["user_id"], "bat@example.com")


MISSING = [
    ("auth0", "data", "data"), ("auth0", "data.user_id", "data.user_id"), ("auth0", "data.user_name", "data.user_name"),
    ("auth0", "data.type", "data.type"), ("better-auth", "data.session", "data.session"),
    ("better-auth", "data.user.email", "data.user.email"), ("clerk", "data", "data"), ("clerk", "type", "type"),
    ("clerk", "data.user_id", "data.user_id"), ("keycloak", "authDetails", "authDetails"),
    ("keycloak", "authDetails.userId", "authDetails.userId"), ("keycloak-http", "userId", "userId"),
    ("kratos", "identity.traits.email", "identity.traits.email"), ("kratos", "flow.id", "flow.id"),
    ("kratos", "session", "session"), ("logto", "user", "user"), ("logto", "event", "event"),
    ("own", "data.eventId", "data.eventId"), ("own", "data.provider", "data.provider"),
    ("supabase", "user_id", "user_id"), ("supabase", "authentication_method", "authentication_method"),
    ("workos", "id", "id"), ("workos", "data.email", "data.email"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "named"), MISSING)
def test_what_is_missing_is_named_by_its_path(name: str, path: str, named: str) -> None:
    assert faults(name, path, ...) == [(named, "is required")]


@pytest.mark.parametrize(
    ("name", "path", "value", "why"),
    [
        ("clerk", "data.user_id", 7, "is not a text"), ("clerk", "data.user.email_addresses", {}, "is not a list"),
        ("clerk", "data.created_at", True, "is not a time"), ("logto", "user", [], "is not an object"),
        ("logto", "createdAt", "yesterday", "is no time; send one such as 2025-12-18T23:00:00Z"),
        ("workos", "created_at", "2026-11-25T04:30:00", "has no offset; send one such as 2025-12-18T23:00:00Z"),
        ("keycloak", "time", 1e300, "is no time; send one such as 2025-12-18T23:00:00Z"),
        ("own", "data.emailVerified", "yes", "is not true or false"),
    ],
)  # fmt: skip
def test_another_shape_is_named_by_its_path(name: str, path: str, value: Any, why: str) -> None:
    assert faults(name, path, value) == [(path, why)]


def test_the_place_in_a_list_is_named() -> None:
    assert faults("clerk", "data.user.email_addresses", [7]) == [("data.user.email_addresses[0]", "is no object")]
    assert faults("kratos", "session.devices", [{"ip_address": 7}]) == [
        ("session.devices[0].ip_address", "is not a text")
    ]


@pytest.mark.parametrize(
    ("name", "path", "value", "why", "missed"),
    [
        ("auth0", "data.type", "ssa", "logs of type ssa are no sign-ins", False),
        ("auth0", "data.user_name", "+97699112233", "is no address", True),
        ("better-auth", "type", "user.created", "user.created is no sign-in", False),
        ("better-auth", "data.session.impersonatedBy", "admin-1", "acts for this user", False),
        ("clerk", "type", "session.ended", "session.ended is no sign-in", False),
        ("clerk", "data.actor", {"sub": "user_1"}, "acts for this user", False),
        ("clerk", "data.user", None, "data.user is null", True),
        ("clerk", "data.user.email_addresses", [], "no e-mail address", True),
        ("keycloak", "type", "access.LOGIN_ERROR", "access.LOGIN_ERROR is no sign-in", False),
        ("keycloak-http", "details.username", "bat", "«Email as username»", True),
        ("keycloak-http", "details", None, "«Email as username»", True),
        ("kratos", "flow.refresh", True, "nobody signs in anew", False),
        ("logto", "event", "PostRegister", "PostRegister is no sign-in", False),
        ("logto", "user.primaryEmail", None, "no primaryEmail", True),
        ("own", "type", "sign-out", "sign-out is no sign-in", False),
        ("supabase", "authentication_method", "token_refresh", "a token by token_refresh is no sign-in", False),
        ("supabase", "authentication_method", "totp", "a token by totp is no sign-in", False),
        ("supabase", "authentication_method", "anonymous", "a token by anonymous is no sign-in", False),
        ("supabase", "claims.email", "", "no e-mail address", True),
        ("workos", "event", "session.created", "session.created has no address", False),
        ("workos", "event", "authentication.password_failed", "is no sign-in", False),
        ("workos", "event", "authentication.mfa_succeeded", "is no sign-in", False),
    ],
)  # fmt: skip
def test_what_is_no_sign_in_is_passed_over(name: str, path: str, value: Any, why: str, missed: bool) -> None:
    event = changed(name, path, value)
    assert isinstance(event, Ignored)
    assert why in event.why
    assert event.missed == missed


@pytest.mark.parametrize(
    ("name", "path", "value", "field", "wanted"),
    [
        ("kratos", "identity.traits.name", "Бат", "name", "Бат"),
        ("kratos", "session.devices", [], "ip_address", None),
        ("kratos", "session.authentication_methods", [{"method": "password"}], "provider", "password"),
        ("kratos", "identity.verifiable_addresses", [], "email_verified", None),
        ("supabase", "authentication_method", "password", "provider", "password"),
        ("clerk", "data.user.primary_email_address_id", None, "email", "old@example.com"),
        ("keycloak", "details.identity_provider", ..., "provider", "keycloak"),
        ("keycloak", "details.email", "dorj@example.com", "email", "dorj@example.com"),
        ("keycloak", "uid", ..., "event_id", None),
        ("auth0", "data.details", {"stats": {"loginsCount": 1}}, "is_new_user", True),
        ("auth0", "data.details", ..., "is_new_user", None),
    ],
)  # fmt: skip
def test_what_may_be_otherwise(name: str, path: str, value: Any, field: str, wanted: Any) -> None:
    event = changed(name, path, value)
    assert isinstance(event, SignedIn)
    found = getattr(event, field)
    assert len(found) == 32 if field == "event_id" else found == wanted


def test_the_second_factor_of_supabase_and_a_retry_are_the_same_event() -> None:
    first = changed("supabase", "metadata.uuid", "1")
    again = changed("supabase", "metadata.uuid", "2")
    assert isinstance(first, SignedIn)
    assert isinstance(again, SignedIn)
    assert first.event_id == again.event_id


def outcome(source: str, body: Any) -> tuple[Fault, ...]:
    """The faults of a body; none where it is a sign-in or passed over."""
    try:
        event = read(source, body)
        if isinstance(event, SignedIn):
            sign_in(source, event)
    except Invalid as error:
        return error.faults
    return ()


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value: what holds it, and the key or index."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from places(inner)


@each
def test_any_one_place_may_be_anything(path: Path) -> None:
    """Whatever stands at any one place, the answer is a sign-in, «ignored», or the path of a field."""
    whole = recorded(path)["body"]
    count, source = len(list(places(whole))), source_of(path)
    for number in range(count):
        for value in (None, "", "x", 7, -1.5, True, [], [None], {}, {"x": 1}, ...):
            body = copy.deepcopy(whole)
            holder, key = list(places(body))[number]
            if value is ...:
                del holder[key]
            else:
                holder[key] = value
            faults = outcome(source, body)
            assert all(fault.field and fault.why for fault in faults)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(SOURCES)), st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_any_object_at_all(source: str, body: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        read(source, body)


def event(**fields: Any) -> SignedIn:
    return SignedIn(**({"event_id": "e", "user_id": "u", "email": "bat@example.com", "provider": "github"} | fields))


def test_an_address_that_is_not_verified_gets_no_mail() -> None:
    now = datetime.now(UTC)
    assert passed_over(event(email_verified=None), now) is None
    assert passed_over(event(email_verified=True), now) is None
    found = passed_over(event(email_verified=False), now)
    assert found
    assert "not verified" in found.why


def test_an_old_event_makes_no_mail() -> None:
    now = datetime.now(UTC)
    assert passed_over(event(occurred_at=now - timedelta(hours=23)), now) is None
    assert passed_over(event(occurred_at=now + timedelta(hours=2)), now) is None
    found = passed_over(event(occurred_at=now - timedelta(hours=25)), now)
    assert found
    assert "24 hours" in found.why


def test_what_a_mail_cannot_show_is_left_out() -> None:
    bad = {"name": "Бат\r\nBcc: x", "ip_address": "unknown", "user_agent": "x" * 5000, "locale": "!", "time_zone": "Ub"}
    payload, dropped = sign_in("own", event(**bad))
    assert sorted(dropped) == ["ipAddress", "locale", "name", "timeZone", "userAgent"]
    assert (payload.name, payload.ip_address, payload.email) == (None, None, "bat@example.com")


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("192.0.2.1:51234", "192.0.2.1"), ("[2001:db8::1]:51234", "2001:db8::1"), ("[::1]", "::1"), ("::1", "::1"),
        ("2001:db8::1:80", "2001:db8::1:80"), ("192.0.2.1", "192.0.2.1"), ("192.0.2.1:x", None), ("192.0.2.999:1", None),
    ],
)  # fmt: skip
def test_the_port_of_an_address_is_left_out(told: str, shown: str | None) -> None:
    found = changed("kratos", "session.devices", [{"ip_address": told}])
    assert isinstance(found, SignedIn)
    assert sign_in("kratos", found)[0].ip_address == shown


def test_an_address_that_cannot_be_used_is_named_where_the_source_has_it() -> None:
    found = changed("clerk", "data.user.email_addresses", [{"email_address": "no address"}])
    assert isinstance(found, SignedIn)
    with pytest.raises(Invalid) as caught:
        sign_in("clerk", found)
    assert [fault.field for fault in caught.value.faults] == ["data.user.email_addresses[0].email_address"]


def test_ids_of_jobs() -> None:
    assert job_id("clerk", "sess_1") == "clerk.sess_1"
    long, strange = job_id("own", "x" * 300), job_id("own", "a b\n")
    assert len(long) == len(strange) == len("own.") + 32
    assert long != strange
    assert strange == job_id("own", "a b\n")


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("google-oauth2", "google"), ("github", "github"), ("sso/saml", "saml"), ("email/signup", "email"),
        ("Username-Password-Authentication", "Username-Password-Authentication"), ("<b>", "b"), ("-x", "x"), ("//", "unknown"),
        ("x" * 100, "x" * 64),
    ],
)  # fmt: skip
def test_providers_as_a_mail_shows_them(word: str, shown: str) -> None:
    assert provider_of(word) == shown
