"""Better Auth, which has hooks and no webhooks: what the hook of docs/integrations/webhooks.md sends.

Shape: the envelope of Standard Webhooks around the `session` and `user` of
`databaseHooks.session.create.after` (better-auth.com/docs/concepts/database; the admin plugin adds
`session.impersonatedBy`), and the provider that the hook read from the path of the request.
"""

from yellowbooks.webhooks.body import Body
from yellowbooks.webhooks.normal import Ignored, SignedIn


def read(item: Body) -> SignedIn | Ignored:
    """One session."""
    kind = item.text("type")
    if kind != "session.created":
        return Ignored(f"{kind[:60]} is no sign-in")
    session, user = item.body("data.session"), item.body("data.user")
    if session.maybe("impersonatedBy"):
        return Ignored("an administrator acts for this user")
    return SignedIn(
        event_id=session.text("id"),
        occurred_at=session.moment("createdAt"),
        user_id=session.text("userId"),
        email=user.text("email"),
        email_verified=user.flag("emailVerified"),
        name=user.maybe("name"),
        provider=item.maybe("data.provider") or "email",
        ip_address=session.maybe("ipAddress"),
        user_agent=session.maybe("userAgent"),
        session_id=session.text("id"),
        locale=user.maybe("locale"),
    )
