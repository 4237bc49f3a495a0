"""Proof: who has the secret is let in, in every source's own way, and nobody else."""

import base64
import hmac
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webhooks.cases import OLD_STANDARD, PLAIN, SECRETS, STANDARD, signed
from yellowbooks.settings import SettingsError, load
from yellowbooks.webhooks import SOURCES
from yellowbooks.webhooks.schemes import TOLERANCE_SECONDS, Forged, Scheme, Sent, StandardWebhooks
from yellowbooks.wiring import webhook_keys

BODY = b'{"type": "x"}'
each = pytest.mark.parametrize("source", sorted(SOURCES))


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def passes(scheme: Scheme, headers: dict[str, str], *secrets: str, body: bytes = BODY, at: float | None = None) -> bool:
    sent = Sent(lower(headers), body, time.time() if at is None else at)
    try:
        scheme.verify(sent, [scheme.key(secret) for secret in secrets])
    except Forged:
        return False
    return True


@each
def test_the_right_secret_passes_and_no_other(source: str) -> None:
    scheme, secret = SOURCES[source].scheme, SECRETS[source]
    other = OLD_STANDARD if secret.endswith(STANDARD) else "another-secret-of-it"
    headers = signed(source, BODY)
    assert passes(scheme, headers, secret)
    assert not passes(scheme, headers, other)
    assert not passes(scheme, {}, secret)
    assert not passes(scheme, dict.fromkeys(headers, ""), secret)
    assert not passes(scheme, dict.fromkeys(headers, "x,y=z v1,v1,= ,,"), secret)
    assert not passes(scheme, {name: "ӨҮ".encode().decode("latin-1") for name in headers}, secret)


@each
def test_while_a_secret_changes_both_pass(source: str) -> None:
    scheme, secret = SOURCES[source].scheme, SECRETS[source]
    new = OLD_STANDARD if secret.endswith(STANDARD) else "another-secret-of-it"
    for used in (secret, new):
        assert passes(scheme, signed(source, BODY, used), secret, new)
        assert passes(scheme, signed(source, BODY, used), new, secret)


@pytest.mark.parametrize("source", sorted(set(SOURCES) - {"auth0", "kratos"}))  # these two sign nothing
def test_a_signature_is_of_this_body_alone(source: str) -> None:
    for body in (BODY + b" ", BODY[:-1], b"", BODY.replace(b" ", b"")):
        assert not passes(SOURCES[source].scheme, signed(source, BODY), SECRETS[source], body=body)


@pytest.mark.parametrize("source", ["better-auth", "clerk", "own", "supabase", "workos"])
def test_the_replay_window(source: str) -> None:
    now = time.time()
    scheme, secret = SOURCES[source].scheme, SECRETS[source]
    for apart in (-TOLERANCE_SECONDS + 2, 0, TOLERANCE_SECONDS - 2):
        assert passes(scheme, signed(source, BODY, at=now + apart), secret, at=now)
    for apart in (-TOLERANCE_SECONDS - 2, TOLERANCE_SECONDS + 2, -86_400.0):
        assert not passes(scheme, signed(source, BODY, at=now + apart), secret, at=now)


def test_the_specifications_own_example() -> None:
    """The vector of the reference libraries (standard-webhooks/standard-webhooks, libraries/*/tests)."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }  # fmt: skip
    assert passes(StandardWebhooks(), headers, STANDARD, body=b'{"test": 2432232314}', at=1614265330.0)


@pytest.mark.parametrize(
    "shape",
    ["{0}", "v1,AAAA {0}", "{0} v1,AAAA", "v1a,AAAA {0}", "v2,{0} {0}", "v1,AAAA, {0}", "{0}, v1,AAAA", "v1 v1, {0}"],
)
def test_one_of_several_signatures_is_enough(shape: str) -> None:
    headers = signed("own", BODY)
    good = headers["webhook-signature"]
    assert passes(StandardWebhooks(), headers | {"webhook-signature": shape.format(good)}, STANDARD)
    assert not passes(StandardWebhooks(), headers | {"webhook-signature": shape.format("v1,AAAA")}, STANDARD)


def test_another_version_with_the_same_digest_does_not_pass() -> None:
    headers = signed("own", BODY)
    worn = headers["webhook-signature"].replace("v1,", "v1a,")
    assert not passes(StandardWebhooks(), headers | {"webhook-signature": worn}, STANDARD)


def test_id_and_time_are_signed_too() -> None:
    headers = signed("own", BODY)
    assert not passes(StandardWebhooks(), headers | {"webhook-id": "msg_2"}, STANDARD)
    later = str(int(headers["webhook-timestamp"]) + 1)
    assert not passes(StandardWebhooks(), headers | {"webhook-timestamp": later}, STANDARD)
    assert not passes(
        StandardWebhooks(), headers | {"webhook-timestamp": headers["webhook-timestamp"] + ".0"}, STANDARD
    )


def test_a_missing_header_is_named() -> None:
    with pytest.raises(Forged, match="webhook-id, webhook-timestamp and webhook-signature"):
        StandardWebhooks().verify(Sent({}, BODY, 0.0), [])


@given(st.text(max_size=60), st.text(max_size=30), st.text(max_size=60), st.binary(max_size=30))
def test_whatever_the_headers_it_is_forged(message: str, stamp: str, signature: str, body: bytes) -> None:
    for names in ("webhook", "svix"):
        headers = {f"{names}-id": message, f"{names}-timestamp": stamp, f"{names}-signature": signature}
        assert not passes(StandardWebhooks(), headers, STANDARD, body=body)
    for source in ("workos", "logto", "auth0"):
        header = {"workos": "workos-signature", "logto": "logto-signature-sha-256", "auth0": "authorization"}[source]
        assert not passes(SOURCES[source].scheme, {header: signature}, PLAIN, body=body)


def test_every_comparison_is_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No digest is compared with anything but `compare_digest`, and all of them are, whichever fits."""
    asked: list[bool] = []
    real = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        asked.append(real(one, other))
        return asked[-1]

    monkeypatch.setattr("yellowbooks.webhooks.schemes.hmac.compare_digest", counted)
    for source in SOURCES:
        asked.clear()
        secret = SECRETS[source]
        new = OLD_STANDARD if secret.endswith(STANDARD) else "another-secret-of-it"
        assert passes(SOURCES[source].scheme, signed(source, BODY), secret, new)
        assert asked == [True, False], source


def test_the_setting() -> None:
    text = f"clerk:{STANDARD}, clerk:{OLD_STANDARD},supabase:v1,{STANDARD},auth0:Bearer {PLAIN},workos:{PLAIN}"
    settings = load({"YB_WEBHOOK_SECRETS": text}).settings
    assert settings.webhook_secrets == (
        ("clerk", STANDARD), ("clerk", OLD_STANDARD), ("supabase", f"v1,{STANDARD}"), ("auth0", f"Bearer {PLAIN}"),
        ("workos", PLAIN),
    )  # fmt: skip
    keys = webhook_keys(settings)
    assert {name: len(found) for name, found in keys.items()} == {"clerk": 2, "supabase": 1, "auth0": 1, "workos": 1}
    assert keys["clerk"][0] == keys["supabase"][0] == base64.b64decode(STANDARD.removeprefix("whsec_"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("okta:secret-secret-secret", "there is no source «okta»; there are auth0, better-auth"),
        ("clerk:not-base64-not", "a secret of clerk is not «whsec_» and base64"),
        ("clerk:whsec_AAAA", "a secret of clerk does not hold 24 to 64 bytes"),
        ("logto:short", "a secret of logto has fewer than 16 characters"),
        ("auth0:Bearer short", "a secret of auth0 has fewer than 16 characters"),
    ],
)
def test_a_wrong_secret_is_one_clear_line(text: str, why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        webhook_keys(load({"YB_WEBHOOK_SECRETS": text}).settings)
    assert str(caught.value).startswith("YB_WEBHOOK_SECRETS: ")
    assert why in str(caught.value)


@pytest.mark.parametrize("text", ["clerk", "clerk:", ":x", "Clerk:abc", "x"])
def test_a_setting_of_another_form(text: str) -> None:
    with pytest.raises(SettingsError, match="its value is not «source:secret»"):
        load({"YB_WEBHOOK_SECRETS": text})


def test_a_worker_that_checks_its_secrets_does_without_the_web_framework() -> None:
    """It would cost each idle worker 20 MB."""
    look = (
        "import sys; from yellowbooks.settings import load; from yellowbooks.wiring import check, webhook_keys;"
        "check(load().settings); assert webhook_keys(load().settings); print('litestar' in sys.modules)"
    )
    environment = os.environ | {"YB_WEBHOOK_SECRETS": f"clerk:{STANDARD}"}
    found = subprocess.run([sys.executable, "-c", look], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
