"""Keycloak with the plug-in p2-inc/keycloak-events, in both of its forms.

Its webhooks (`ext-event-webhook`) send `{uid, type: "access.LOGIN", time, authDetails, details}`
(src/main/java/io/phasetwo/keycloak/representation/ExtendedAdminEvent.java), its HTTP sender (`ext-event-http`)
Keycloak's own `{id, type: "LOGIN", time, userId, ipAddress, sessionId, details}` (org.keycloak.events.Event). `time`
is milliseconds. No form has the browser, and the address is there only as `details.email` or where user names are
addresses (the realm's «Email as username»). Signed in `X-Keycloak-Signature`, HMAC-SHA256 in hexadecimal
(HttpSenderEventListenerProvider.java).
"""

from yellowbooks.webhooks.body import Body
from yellowbooks.webhooks.normal import Ignored, SignedIn

LOGINS = ("access.LOGIN", "LOGIN")
NO_ADDRESS = "the event has no address; turn on «Email as username» in the realm's login settings"


def read(item: Body) -> SignedIn | Ignored:
    """One event."""
    kind = item.text("type")
    if kind not in LOGINS:
        return Ignored(f"{kind[:60]} is no sign-in")
    details = item.body("details") if item.value.get("details") is not None else Body({}, "details")
    who = item.body("authDetails") if kind == "access.LOGIN" else item
    if details.maybe("impersonator"):
        return Ignored("an administrator acts for this user")
    user = who.text("userId")
    names = (details.maybe("email"), details.maybe("username"), who.maybe("username"))
    email = next((name for name in names if name and "@" in name), None)
    if email is None:
        return Ignored(NO_ADDRESS, missed=True)
    return SignedIn(
        event_id=item.maybe("uid") or item.maybe("id") or item.digest,
        occurred_at=item.moment("time"),
        user_id=user,
        email=email,
        provider=details.maybe("identity_provider") or "keycloak",
        ip_address=who.maybe("ipAddress"),
        session_id=who.maybe("sessionId"),
    )
