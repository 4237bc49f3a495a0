"""«This was not me»: a link in a mail, a page with a button, and a signed word to the application."""

from typing import Any

from yellowbooks.jobs import Kind, Queue
from yellowbooks.notme.links import BadLink, Claim, Links
from yellowbooks.notme.revoke import NOT_ME, NotMe, Revoker, not_me_kind, webhook_key


def not_me_routes(links: Links, queue: Queue, kind: Kind[NotMe]) -> list[Any]:
    """The page behind the links; see `page`. A worker, which only makes links, does without the web framework."""
    from yellowbooks.notme.page import page_routes

    return page_routes(links, queue, kind)


__all__ = [
    "NOT_ME", "BadLink", "Claim", "Links", "NotMe", "Revoker", "not_me_kind", "not_me_routes", "webhook_key",
]  # fmt: skip
