"""An application of one's own: the normal form itself in the envelope of Standard Webhooks.

`{"type": "sign-in", "timestamp": …, "data": {"eventId", "userId", "email", "provider", …}}`
(standard-webhooks/standard-webhooks, spec/standard-webhooks.md, «Payload structure»).
"""

from yellowbooks.webhooks.body import Body
from yellowbooks.webhooks.normal import Ignored, SignedIn


def read(item: Body) -> SignedIn | Ignored:
    """One event."""
    kind = item.text("type")
    if kind != "sign-in":
        return Ignored(f"{kind[:60]} is no sign-in")
    data = item.body("data")
    return SignedIn(
        event_id=data.text("eventId"),
        occurred_at=data.moment("occurredAt") or item.moment("timestamp"),
        user_id=data.text("userId"),
        email=data.text("email"),
        email_verified=data.flag("emailVerified"),
        name=data.maybe("name"),
        provider=data.text("provider"),
        ip_address=data.maybe("ipAddress"),
        user_agent=data.maybe("userAgent"),
        is_new_user=data.flag("isNewUser"),
        session_id=data.maybe("sessionId"),
        locale=data.maybe("locale"),
        time_zone=data.maybe("timeZone"),
        reason=data.maybe("reason"),
    )
