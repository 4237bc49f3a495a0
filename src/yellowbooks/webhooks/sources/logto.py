"""Logto: the interaction hook `PostSignIn`.

Shape: docs.logto.io/developers/webhooks/webhooks-request; signed in `logto-signature-sha-256`, HMAC-SHA256 in
hexadecimal (docs.logto.io/developers/webhooks/secure-webhooks). The event has no id of its own and a repeated request
has the same body, so the body's hash names it.
"""

from yellowbooks.webhooks.body import Body
from yellowbooks.webhooks.normal import Ignored, SignedIn


def read(item: Body) -> SignedIn | Ignored:
    """One event."""
    kind = item.text("event")
    if kind != "PostSignIn":
        return Ignored(f"{kind[:60]} is no sign-in")
    user = item.body("user")
    email = user.maybe("primaryEmail")
    if email is None:
        return Ignored("the user has no primaryEmail", missed=True)
    return SignedIn(
        event_id=item.digest,
        occurred_at=item.moment("createdAt"),
        user_id=item.maybe("userId") or user.text("id"),
        email=email,
        name=user.maybe("name"),
        provider="logto",
        ip_address=item.maybe("userIp"),
        user_agent=item.maybe("userAgent"),
        session_id=item.maybe("sessionId"),
        locale=user.maybe("profile.locale"),
        time_zone=user.maybe("profile.zoneinfo"),
    )
