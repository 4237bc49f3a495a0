"""Sends by SMTP, through the first server that works (RFC 5321; pipelined by RFC 2920 where that is offered)."""

import asyncio
from collections.abc import Sequence

from yellowbooks.mail.breaker import AGAIN_SECONDS, MENDED_SECONDS, Breaker, Tell, quiet
from yellowbooks.mail.message import Message, check
from yellowbooks.mail.opening import SetUpFailed
from yellowbooks.mail.pool import Bounds, Pool, Shut
from yellowbooks.mail.reply import ADDRESSED, Reply
from yellowbooks.mail.server import SmtpServer, Times
from yellowbooks.mail.session import Commit, InDoubt, Lost, Session
from yellowbooks.mail.trouble import DeliveryUncertain, Refused, Trouble, Unreachable, Unusable

__all__ = ["Commit", "SmtpMailer"]

TIMES, BOUNDS = Times(), Bounds()


class _Unsent(Exception):
    """This server did not take the mail, and it is none of the mail's fault. `final`: no other may be tried now."""

    def __init__(self, why: str, cause: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.cause, self.final = cause, final


class SmtpMailer:
    """Sends mails through the first of `servers` that works. Any number of mails at once.

    `helo` names us to the servers (a full domain name, given and never looked up); `again` and `mended` are the waits
    of a `Breaker` in seconds. Its alarms go to `tell`.
    """

    def __init__(
        self, servers: Sequence[SmtpServer], helo: str, *, times: Times = TIMES, bounds: Bounds = BOUNDS,
        tell: Tell = quiet, again: float = AGAIN_SECONDS, mended: float = MENDED_SECONDS,
    ) -> None:  # fmt: skip
        self._routes = [_Route(one, helo, times, bounds, Breaker(str(one), tell, again=again, mended=mended))
                        for one in servers]  # fmt: skip

    async def send(self, message: Message, commit: Commit) -> str:
        """Send one mail; gives the server's words. `commit` is called once, just before the mail's text may go.

        Raises `Refused`, `Unreachable`, `Unusable`, `DeliveryUncertain`, `MessageRefused`, and what `commit` raises.
        """
        check(message)
        unsent: list[_Unsent] = []
        for route in self._routes:
            if not route.breaker.admits():
                continue
            try:
                return str(await route.send(message, commit))
            except _Unsent as trouble:
                unsent.append(trouble)
                if trouble.final:
                    break
        raise self._unsent(unsent)

    async def aclose(self) -> None:
        """Close the sessions that are kept."""
        await asyncio.gather(*(route.pool.close() for route in self._routes))

    def _unsent(self, unsent: Sequence[_Unsent]) -> Trouble:
        """Where all servers are left alone the mail waits with all others, and else it alone failed."""
        shut = [route.breaker for route in self._routes if route.breaker.open]
        if len(shut) == len(self._routes):
            soonest = min(shut, key=lambda breaker: breaker.pause)
            whys = "; ".join(f"{route.server}: {route.breaker.why}" for route in self._routes)
            return Unusable(f"no SMTP server can be used ({whys}); see YB_SMTP_URL", soonest.cause, soonest.pause)
        whys = "; ".join(str(one) for one in unsent)
        return Unreachable(f"the mail was not sent ({whys}); see YB_SMTP_URL", unsent[-1].cause if unsent else "")


class _Route:
    """One server: its sessions, and whether it is worth trying."""

    def __init__(self, server: SmtpServer, helo: str, times: Times, bounds: Bounds, breaker: Breaker) -> None:
        self.server = server
        self.breaker = breaker
        self.pool = Pool(server, helo, times, bounds, lambda: breaker.open)

    async def send(self, message: Message, commit: Commit) -> Reply:
        """The reply that took the mail. Raises `_Unsent`, `Refused`, `DeliveryUncertain`, and what `commit` raises.

        A session that was used before may have been closed by the server in the meantime; a new one tells.
        """
        try:
            return await self._through(await self._session(message), message, commit)
        except _Stale:
            return await self._through(await self._session(message, fresh=True), message, commit)

    async def _session(self, message: Message, *, fresh: bool = False) -> Session:
        try:
            return await self.pool.take(message, fresh=fresh)
        except Shut:
            raise _Unsent(f"{self.server}: {self.breaker.why}", self.breaker.cause) from None
        except SetUpFailed as failure:
            cause = f"{self.server.host}:{failure.phase}:{failure.word}"
            if failure.ours:
                self.breaker.misconfigured(str(failure), cause)
            else:
                self.breaker.failed(message.message_id, str(failure), cause)
            raise _Unsent(f"{self.server}: {failure}", cause) from None

    async def _through(self, session: Session, message: Message, commit: Commit) -> Reply:
        fresh = not session.mails
        try:
            reply = await session.deliver(message, commit)
        except Lost as lost:
            if not fresh and not lost.committed and lost.word != "timeout":
                raise _Stale from None
            raise self._failed(message, str(lost), f"{lost.phase}:{lost.word}", final=lost.committed) from None
        except InDoubt as doubt:
            self.breaker.failed(message.message_id, str(doubt), f"{self.server.host}:dot:{doubt.word}")
            raise DeliveryUncertain(
                f"{self.server} was lost after the mail's text ({doubt}); it may have it",
                f"{self.server.host}:dot:{doubt.word}",
            ) from None
        finally:
            self.pool.give(session)
        return self._answered(reply, message, fresh=fresh)

    def _answered(self, reply: Reply, message: Message, *, fresh: bool) -> Reply:
        if reply.verdict == "done":
            self.breaker.worked()
            return reply
        cause = reply.cause(self.server.host)
        if reply.verdict == "reconnect":
            if not fresh and reply.phase != "dot":
                raise _Stale
            raise self._failed(message, str(reply), cause.partition(":")[2], final=reply.phase == "dot")
        if reply.verdict == "config" and reply.phase in ADDRESSED:  # it may be this recipient alone
            self.breaker.failed(message.message_id, str(reply), cause)
        elif reply.verdict == "config":
            self.breaker.misconfigured(str(reply), cause)
            raise _Unsent(f"{self.server}: {reply}", cause)
        else:
            self.breaker.worked()
        raise Refused(reply, self.server.host)

    def _failed(self, message: Message, why: str, what: str, *, final: bool) -> _Unsent:
        cause = f"{self.server.host}:{what}"
        self.breaker.failed(message.message_id, why, cause)
        return _Unsent(f"{self.server}: {why}", cause, final=final)


class _Stale(Exception):
    """A session that was kept was closed by the server; the mail may have a new one."""
