"""Takes notices to the operator: to a webhook in Slack's form, or wherever else a `Send` leads."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

SEND_SECONDS = 10.0


class Notice(NamedTuple):
    """One message. `key` is the same where the same message is sent again."""

    key: str
    name: str
    over: bool
    text: str

    @property
    def subject(self) -> str:
        """The message's first words."""
        return f"Yellow Books Jobs: {self.name} {'is well again' if self.over else 'alert'}"


class NotSent(Exception):
    """A notice could not be handed over; it is tried again."""


Send = Callable[[Notice], Awaitable[None]]
"""Raises `NotSent`."""


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def webhook(url: str) -> Send:
    """Posts `{"text": …}`, which Slack, Mattermost, Rocket.Chat and Discord (…/slack) take."""
    opener = urllib.request.build_opener(_Stay)

    def post(notice: Notice) -> None:
        sign = "✅" if notice.over else "🔥"
        body = json.dumps({"text": f"{sign} {notice.subject}: {notice.text}"}).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310  the operator's own
        try:
            with opener.open(request, timeout=SEND_SECONDS) as reply:
                reply.read(1024)
        except urllib.error.HTTPError as error:
            error.close()
            raise NotSent(f"the webhook answers {error.code}; correct YB_ALERT_WEBHOOK") from None
        except (OSError, ValueError) as error:
            raise NotSent(f"the webhook cannot be reached ({getattr(error, 'reason', error)})") from None

    async def send(notice: Notice) -> None:
        await asyncio.to_thread(post, notice)

    return send
