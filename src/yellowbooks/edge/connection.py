"""One HTTP/1.1 connection: uvicorn's, with deadlines and bounds, and nothing that two servers may read in two ways.

llhttp, behind httptools, is strict by itself: Content-Length beside Transfer-Encoding, two lengths, folded lines, bare
CR or LF, NUL, bad chunk sizes. Here is what it lets pass. (RFC 9112, sections 3, 5, 6, 7 and 11.2.)
"""

import asyncio
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from yellowbooks.edge.crowd import PROBES, Crowd, Phase
from yellowbooks.edge.head import head_fault
from yellowbooks.edge.refusal import Refusal, malformed

CROWDED = Refusal("crowded", 503, "too many connections at once; send the request again in 5 s", 5)
TOO_MANY = Refusal("address_connections", 429, "too many connections from this address; close some, or wait 5 s", 5)
PIPELINED = Refusal("pipelined", 400, "too many requests were sent ahead of their answers; wait for some first")
NO_HTTP = malformed("this is not an HTTP/1.1 request (RFC 9112)")
STOPPING = Refusal("crowded", 503, "this API is stopping; send the request again", 1)
TAKEN = 32 * 1024  # bytes of an answer that a client takes in `Limits.unread`, or it is cut
FRAMING = (b"content-length", b"transfer-encoding")


class Refused(Exception):
    """Raised within the parser's callbacks, which then parses no further."""


class Connection(HttpToolsProtocol):
    """A request reaches the application when it is whole: one that comes slowly costs a socket and its bytes alone."""

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None, *, crowd: Crowd,
    ) -> None:  # fmt: skip
        super().__init__(config, server_state, app_state, _loop)
        self.phase = Phase.HEAD
        self._crowd = crowd
        self._limits = crowd.limits
        self._address = ""
        self._uninvited = False  # above the bound: only probes are answered
        self._head = 0  # bytes of the head, by its fields
        self._wire = 0  # bytes that came for the request that comes now
        self._begun = self._headed = False  # whether a request comes now, and whether its head came
        self._body = 0
        self._kept = 0  # bytes of it that the crowd counts
        self._left = 0  # bytes of answers that its client did not take
        self._unstarted: tuple[RequestResponseCycle, Any] | None = None
        self._refusal: Refusal | None = None  # why the parser was stopped; or what is said after the answers in work
        self._again = False  # whether the parser reads a head for the second time

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Count it, and see whether there is room."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        refused = self._crowd.enter(self, self._address)
        if refused and self._crowd.overrun():
            self._crowd.refused(refused)
            self.leave()
        elif refused == TOO_MANY.reason:
            self._refuse(TOO_MANY)
        else:
            self._uninvited = bool(refused)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        super().connection_lost(exc)
        self._release()
        self._crowd.exit(self, self._address)

    def data_received(self, data: bytes) -> None:
        """Bytes of requests."""
        if self._refusal or self.phase >= Phase.LINGER:
            return
        self._wire += len(data)
        self._parse(data)
        if self._unstarted:
            self._keep(self._unstarted[0])
        elif self.phase is Phase.IDLE:
            self._crowd.move(self, Phase.HEAD)
        if self._wire > self._limits.head and self._begun and self._refusal is None:
            self._bound_wire()

    def late(self) -> None:
        """A request, or its head or its body, did not come in time, or an answer was not taken."""
        if self.phase is Phase.IDLE or (self.phase is Phase.HEAD and not (self._wire or self._begun)):
            self._close()
        elif self.phase in (Phase.HEAD, Phase.BODY):
            part = "head" if self.phase is Phase.HEAD else "body"
            seconds = self._limits.receive
            self._refuse(Refusal("late", 408, f"the request's {part} did not come within {seconds:g} s; send it again"))
        elif not self._reads():
            if self.phase is Phase.UNREAD:
                self._crowd.refused("unread")
            self.leave()

    def leave(self) -> None:
        """Cut the connection."""
        self._release()
        self._crowd.move(self, Phase.GONE)
        self.transport.abort()

    def shutdown(self) -> None:
        """The server stops: whose request came whole gets an answer."""
        if self.phase is Phase.BODY:
            self._refuse(STOPPING)
            return
        super().shutdown()
        self._note_closing()

    def on_message_begin(self) -> None:
        """A request's first byte."""
        if not self._again:
            super().on_message_begin()
            self._begun, self._headed, self._head, self._body = True, False, 0, 0

    def on_url(self, url: bytes) -> None:
        """Some of the target."""
        if not self._again:
            super().on_url(url)
            if len(self.url) > self._limits.target:
                self._stop(Refusal("head_too_large", 414, "the target is over 4 KiB; send a shorter one"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of the head. Trailers are passed over: they could say anything of it. (RFC 9110, section 6.5.1.)"""
        if self._headed:
            return
        self._head += len(name) + len(value) + 4
        if self._head > self._limits.head or len(self.headers) >= self._limits.fields:
            self._stop(self._too_large())
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._again:
            return
        if self._uninvited and self.url.partition(b"?")[0].decode("latin-1") not in PROBES:
            self._stop(CROWDED)
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if fault := head_fault(method, version, self.url, self.headers, self._limits.body):
            self._stop(fault)
        if len(self.pipeline) >= self._limits.ahead:
            self._stop(PIPELINED)
        super().on_headers_complete()
        self._headed = True
        if self._unstarted and self.expect_100_continue:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.cycle.waiting_for_100_continue = False

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        self._body += len(body)
        if self._body > self._limits.body:
            self._stop(Refusal("body_too_large", 413, "the body is over 1 MiB; send less"))
        self.cycle.body += body

    def on_message_complete(self) -> None:
        """The request is whole, but where its head asked for another protocol and a body follows; see `_read_on`."""
        if self._again or (self.parser.should_upgrade() and self._framing()):
            return
        self._begun, self._wire = False, 0
        super().on_message_complete()
        if self._unstarted:
            cycle, app = self._unstarted
            self._release()
            self._crowd.move(self, Phase.UNREAD if self.flow.write_paused else Phase.WORK)
            super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """An answer was given: the next one, or what was refused meanwhile, or waiting for a request."""
        if self.transport.is_closing():
            super().on_response_complete()
            self._note_closing()
            return
        super().on_response_complete()
        if self._unstarted:
            self._keep(self._unstarted[0])
        elif not self._answering():
            self._wait_for_more()

    def pause_writing(self) -> None:
        """Its client does not take the answer."""
        super().pause_writing()
        self._left = self.transport.get_write_buffer_size()
        if self.phase is Phase.WORK:
            self._crowd.move(self, Phase.UNREAD)

    def resume_writing(self) -> None:
        """Its client took some."""
        super().resume_writing()
        if self.phase is Phase.UNREAD and self._answering():
            self._crowd.move(self, Phase.WORK)
        elif self.phase is Phase.UNREAD:
            self._wait_for_more()

    def _wait_for_more(self) -> None:
        self._unset_keepalive_if_required()  # the crowd's clock ends this wait too
        if self._refusal:
            self._answer(self._refusal)
        elif self.flow.write_paused:
            self._crowd.move(self, Phase.UNREAD)
        else:
            self._crowd.move(self, Phase.HEAD if self._begun else Phase.IDLE)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if cycle.more_body:
            self._unstarted = cycle, app
        else:
            super()._start_asgi_task(cycle, app)

    def _keep(self, cycle: RequestResponseCycle) -> None:
        """Some of its body is here, and the rest is waited for."""
        if self.phase is not Phase.BODY:
            self._crowd.move(self, Phase.BODY)
        size, self._kept = len(cycle.body) - self._kept, len(cycle.body)
        self._crowd.hold(size)

    def _release(self) -> None:
        """Nothing waits for its body any more."""
        self._unstarted = None
        if self._kept:
            size, self._kept = self._kept, 0
            self._crowd.hold(-size)

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._read_on(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(self._refusal or NO_HTTP)

    def _read_on(self, rest: bytes) -> None:
        """Go on after a head that asks for another protocol. This server speaks none, and says so by answering.

        (RFC 9110, section 7.8.) To the parser such a request has no body, so that the body would be taken for the next
        request: it reads the framing again, without that wish.
        """
        framing = self._framing()
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        if framing:
            self._again = True
            lines = b"".join(b"%b: %b\r\n" % field for field in framing)
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % lines)
            self._again = False
        if rest and self._refusal is None:
            self._parse(rest)

    def _framing(self) -> list[tuple[bytes, bytes]]:
        """The fields that say that a body follows, and which."""
        return [field for field in self.headers if field[0] in FRAMING and field[1].strip(b" \t0")]

    def _bound_wire(self) -> None:
        if not self._headed:
            self._refuse(self._too_large())
        elif self._wire > self._limits.head + 2 * self._limits.body:
            self._refuse(Refusal("body_too_large", 413, "the body has more framing than bytes; send larger chunks"))

    def _too_large(self) -> Refusal:
        size, fields = self._limits.head // 1024, self._limits.fields
        return Refusal("head_too_large", 431, f"the head is over {size} KiB or {fields} fields; send fewer")

    def _stop(self, refusal: Refusal) -> None:
        self._refusal = refusal
        raise Refused(refusal.reason)

    def _answering(self) -> bool:
        """Whether a request before the one that comes now is without its answer."""
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete)

    def _refuse(self, refusal: Refusal) -> None:
        """Say no more than this, after the answers to what came before; and read nothing more."""
        self._refusal = refusal
        self._crowd.refused(refusal.reason)
        if self._unstarted:
            self.cycle.response_complete = True
            self._release()
        elif self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()
            self.cycle.response_complete = True
        if self.phase in (Phase.WORK, Phase.UNREAD):
            self.flow.pause_reading()
        else:
            self._answer(refusal)

    def _answer(self, refusal: Refusal) -> None:
        """The last words; its client gets a moment to read them, whatever it still sends. (RFC 9112, section 9.6.)"""
        if self.transport.is_closing():
            self._note_closing()
            return
        body = refusal.body()
        length = (b"content-length", b"%d" % len(body))
        fields = [*self.server_state.default_headers, *refusal.headers(), length, (b"connection", b"close")]
        head = b"".join(b"%b: %b\r\n" % field for field in fields)
        self.transport.write(STATUS_LINE[refusal.status] + head + b"\r\n" + body)
        self.flow.resume_reading()
        self._crowd.move(self, Phase.LINGER)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _close(self) -> None:
        self.transport.close()
        self._note_closing()

    def _reads(self) -> bool:
        """Whether its client took some of the answer in this wait; it gets another one then."""
        before, self._left = self._left, self.transport.get_write_buffer_size()
        if self.phase is Phase.LINGER or self._left > before - TAKEN:
            return False
        self._crowd.move(self, self.phase)
        return True

    def _note_closing(self) -> None:
        if self.transport.is_closing() and self.phase not in (Phase.CLOSING, Phase.GONE):
            self._left = self.transport.get_write_buffer_size()
            self._crowd.move(self, Phase.CLOSING)
