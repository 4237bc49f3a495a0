"""WorkOS AuthKit: the `authentication.*_succeeded` events.

Shape: workos.com/docs/events/authentication and /session: `{id, event, data, created_at}`, `data` with type, user_id,
email, ip_address and user_agent. `session.created` has no address, so it makes no mail. A sign-in with a second factor
is told twice, and only its first step counts.
"""

from yellowbooks.webhooks.body import Body
from yellowbooks.webhooks.normal import Ignored, SignedIn

SIGN_INS = {
    f"authentication.{way}_succeeded": way for way in ("magic_auth", "oauth", "passkey", "password", "sso")
}  # fmt: skip


def read(item: Body) -> SignedIn | Ignored:
    """One event."""
    kind = item.text("event")
    if kind == "session.created":
        return Ignored("session.created has no address; subscribe to authentication.*_succeeded")
    if kind not in SIGN_INS:
        return Ignored(f"{kind[:60]} is no sign-in")
    data = item.body("data")
    return SignedIn(
        event_id=item.text("id"),
        occurred_at=item.moment("created_at"),
        user_id=data.text("user_id"),
        email=data.text("email"),
        provider=SIGN_INS[kind].replace("_", " "),
        ip_address=data.maybe("ip_address"),
        user_agent=data.maybe("user_agent"),
        session_id=data.maybe("session_id"),
    )
