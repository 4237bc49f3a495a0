"""Ory Kratos, a `web_hook` after login whose body is the Jsonnet of docs/integrations/webhooks.md.

Shape: ory/kratos, selfservice/hook/web_hook.go (`templateContext`: flow, request_headers, identity, session) with
session/session.go and identity/identity.go. The hook runs after the person has proved who they are and before the
session is stored, so the flow's id names the event: one flow is one sign-in. The key is sent by `auth: api_key`
(request/auth_strategy.go). Header values are lists, as in Go's http.Header.
"""

from yellowbooks.jobs import Fault, Invalid
from yellowbooks.webhooks.body import Body, Found
from yellowbooks.webhooks.normal import Ignored, SignedIn

HINTS = ("Sec-Ch-Ua", "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform")


def read(item: Body) -> SignedIn | Ignored:
    """One login flow that succeeded."""
    flow, identity, session = item.body("flow"), item.body("identity"), item.body("session")
    if flow.flag("refresh"):
        return Ignored("a session that was there is confirmed, nobody signs in anew")
    email = identity.text("traits.email")
    method = next(reversed(session.bodies("authentication_methods")), Body({}))
    device = next(reversed(session.bodies("devices")), Body({}))
    return SignedIn(
        event_id=flow.text("id"),
        occurred_at=session.moment("authenticated_at"),
        user_id=identity.text("id"),
        email=email,
        email_verified=_verified(identity, email),
        name=_name(identity),
        provider=method.maybe("provider") or method.maybe("method") or "kratos",
        ip_address=device.maybe("ip_address"),
        user_agent=device.maybe("user_agent") or _header(item, "User-Agent"),
        client_hints={name: value for name in HINTS if (value := _header(item, name))},
        session_id=session.maybe("id"),
        locale=identity.maybe("traits.locale"),
    )


def _verified(identity: Body, email: str) -> bool | None:
    for address in identity.bodies("verifiable_addresses"):
        if address.maybe("value") == email.lower() or address.maybe("value") == email:
            return address.flag("verified")
    return None


def _name(identity: Body) -> str | None:
    """`traits.name` is a text in some schemas and `{first, last}` in others."""
    name = identity.body("traits").value.get("name")
    if not isinstance(name, dict):
        return identity.maybe("traits.name")
    parts = (identity.maybe("traits.name.first"), identity.maybe("traits.name.last"))
    return " ".join(part for part in parts if part) or None


def _header(item: Body, name: str) -> str | None:
    values = item.value.get("request_headers")
    value = values.get(name) if isinstance(values, dict) else None
    first = value[0] if isinstance(value, list) and value else value
    if first is not None and not isinstance(first, str):
        raise Invalid([Fault(f"request_headers.{name}", "is not a list of texts")])
    return Found(first, f"request_headers.{name}") if first else None
