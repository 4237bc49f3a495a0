"""Clerk: `session.created`, sent by Svix.

Shape: clerk/javascript, packages/backend/src/api/resources/{Webhooks,JSON}.ts. `event_attributes.http_request` has the
address and the browser; `data.user` (a `UserJSON`, or null) stands in the event since 2025 (the changelog of
@clerk/backend 2.23.0), and an event without it has no address. `data.actor` is somebody who acts for the user.
How the person signed in is not told.
"""

from yellowbooks.webhooks.body import Body
from yellowbooks.webhooks.normal import Ignored, SignedIn


def read(item: Body) -> SignedIn | Ignored:
    """One event."""
    kind = item.text("type")
    if kind != "session.created":
        return Ignored(f"{kind[:60]} is no sign-in")
    session = item.body("data")
    if session.value.get("actor"):
        return Ignored("an administrator acts for this user")
    if session.value.get("user") is None:
        return Ignored("data.user is null, so the event has no address", missed=True)
    user = session.body("user")
    address = _address(user)
    if address is None:
        return Ignored("the user has no e-mail address", missed=True)
    verified = address.maybe("verification.status")
    names = [name for name in (user.maybe("first_name"), user.maybe("last_name")) if name]
    return SignedIn(
        event_id=session.text("id"),
        occurred_at=session.moment("created_at"),
        user_id=session.text("user_id"),
        email=address.text("email_address"),
        email_verified=None if verified is None else verified == "verified",
        name=" ".join(names) or None,
        provider="clerk",
        ip_address=item.maybe("event_attributes.http_request.client_ip"),
        user_agent=item.maybe("event_attributes.http_request.user_agent"),
        session_id=session.text("id"),
        locale=user.maybe("locale"),
    )


def _address(user: Body) -> Body | None:
    """The user's primary address, or the first where none is named so."""
    addresses = user.bodies("email_addresses")
    primary = user.maybe("primary_email_address_id")
    return next((one for one in addresses if one.maybe("id") == primary), addresses[0] if addresses else None)
