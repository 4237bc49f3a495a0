"""Targets: what comes over the network, that is SMTP replies, reports, webhooks, headers, addresses, pages."""

import asyncio
import base64
import email
import email.policy
import ipaddress
import json
import re
from typing import Any

import httpx
from hypothesis import strategies as st

from tests.fuzz.parsers import Bug, Target, hurt
from tests.mail.reports import report, sent
from tests.mail.scripted import letter
from tests.mail.test_message import DATE, SENDER
from tests.parts import Ping, Told
from tests.webhooks.cases import RECORDED, SECRETS, fresh, signed, source_of
from yellowbooks.api import ApiParts, create_app, keys
from yellowbooks.client import address as client_address
from yellowbooks.dashboard import door
from yellowbooks.jobs import Event, Kind, Queue, Receipt
from yellowbooks.mail import MessageRefused, NoReport, Skeleton, bounce, compose, mailbox, message, quoted, reply
from yellowbooks.mail.session import LINE_OCTETS, InDoubt, Lost, Session
from yellowbooks.operators import Watch
from yellowbooks.signin import SignIn, device
from yellowbooks.webhooks import SOURCES, Intake, body, intake, schemes, webhook_route

TEXT = st.text(max_size=60)

# Mails

SUBJECTS = TEXT | st.sampled_from(["Сайн уу " * 20, "a\r\nBcc: x@y.mn", "=?utf-8?q?B=0ABcc:=20x@y.mn?=", "a\u2028b"])


def _check_mail(given: tuple[str, str, str, str]) -> None:
    """Refused, or a mail whose headers are ours alone, whatever a parser that decodes makes of them."""
    subject, name, recipient, text = given
    try:
        who = mailbox(f"{name} <no-reply@example.mn>")
    except ValueError:
        who = SENDER
    try:
        mail = compose(
            sender=who,
            recipient=recipient,
            subject=subject,
            text=text,
            html=f"<p>{text}",
            language="mn",
            key="a",
            date=DATE,
        )
        message.check(mail)
    except (MessageRefused, UnicodeEncodeError):
        return
    parsed = email.message_from_bytes(mail.data, policy=email.policy.default)
    assert tuple(parsed.keys()) == message.HEADERS
    assert parsed["To"] == recipient
    assert " ".join(str(parsed["Subject"]).split()) == " ".join(subject.split())
    assert not parsed.defects
    assert [part.get_content_type() for part in parsed.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert b"\n." not in mail.data
    assert max(map(len, mail.data.split(b"\r\n"))) <= 998


RECIPIENTS = st.just("bat@example.mn") | st.from_regex(r"[a-z.<>@\r\n\"= ?]{1,12}@[a-z.<>\r\n]{1,9}")


LONGER = TEXT | st.integers(60, 90).map("x".__mul__) | st.integers(10, 40).map("Ө".__mul__)


def _check_skeleton(given: tuple[list[str], list[str]]) -> None:
    texts, values = given
    names = [f"v{n}" for n in range(len(values))]
    pieces = [*texts, *[""] * (len(values) + 1)][: len(values) + 1]
    try:
        filled = Skeleton(pieces, names, is_html=False).fill(dict(zip(names, values, strict=True)))
    except UnicodeEncodeError:
        return
    whole = "".join(one for pair in zip(pieces, [*values, ""], strict=True) for one in pair)
    assert filled.plain() == re.sub(r"\r\n|\r|\n", "\n", whole) or "\r" in whole
    assert all(len(line) <= quoted.LINE_OCTETS for line in filled.split(b"\r\n"))
    assert not filled.startswith(b".")
    assert b"\n." not in filled


# SMTP

CODES = st.sampled_from([b"250", b"354", b"220", b"421", b"450", b"550", b"999", b"000", b"25", b"2500", b"x50"])
LINES = st.builds(
    lambda code, mark, words, end: code + mark + words + end, CODES, st.sampled_from([b" ", b"-", b"", b"\t"]),
    st.sampled_from([b"", b"ok", b"5.1.1 <bat@example.mn> unknown", b"\xff\x00", b"x" * 3000, b"try again in 9 minutes"]),
    st.sampled_from([b"\r\n", b"\n", b"\r", b""]),
)  # fmt: skip
GOOD_LINES = st.sampled_from([b"250 ok\r\n", b"354 go on\r\n", b"250-one\r\n250 two\r\n", b"450 4.7.1 later\r\n"])
# The way to the text is long: half of the conversations begin with it.
BEGUN = st.sampled_from(
    [[], [b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"], [b"250 ok\r\n250 ok\r\n3", b"54 go on\r\n"]]
)
MANY_LINES = st.integers(1, 30).map((b"250-" + b"x" * 1500 + b"\r\n").__mul__)
CHUNKS = st.builds(list.__add__, BEGUN, st.lists(GOOD_LINES | LINES | MANY_LINES | st.binary(max_size=12), max_size=12))


class Wire(asyncio.Transport):
    """A transport without a network."""

    def __init__(self) -> None:
        super().__init__()
        self.sent, self.closed = b"", False

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


async def _converse(chunks: list[bytes], pipelining: bool) -> None:
    wire, mail, committed = Wire(), letter(), 0
    failed: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failed.append(context))
    one = Session("mx.example", (0.002, 0.002, 0.002))
    one.connection_made(wire)
    one.data_received(b"220 mx.example\r\n")
    await one.greeted(1)
    one.pipelining = pipelining

    async def commit() -> None:
        nonlocal committed
        committed += 1
        assert mail.data[:40] not in wire.sent, "the text went before the commit"

    delivering = asyncio.ensure_future(one.deliver(mail, commit))
    for chunk in chunks:
        for _ in range(4):  # it writes what follows
            await asyncio.sleep(0)
        if not wire.closed:
            one.data_received(chunk)
        assert len(one._buffer) <= LINE_OCTETS + len(chunk)
        assert sum(map(len, one._lines)) <= 16_384 + LINE_OCTETS
    try:
        said = await asyncio.wait_for(delivering, 10)
        assert said.code // 100 in (2, 4, 5)
        assert said.code // 100 != 2 or mail.data[:40] in wire.sent, "it is said to be sent, and was not"
    except InDoubt:
        assert committed == 1
    except Lost:
        assert mail.data[:40] not in wire.sent, "its text went, so nobody knows"
    one.connection_lost(None)
    assert not failed, f"a callback failed: {failed}"


def _check_session(given: tuple[list[bytes], bool]) -> None:
    asyncio.run(_converse(*given))


def _check_reply(given: tuple[int, str, Any]) -> None:
    code, text, phase = given
    found = reply.read(code, text, phase)
    assert len(found.text) <= reply.REPLY_LENGTH
    assert found.text.isprintable()
    assert 0 <= found.wait <= reply.LONGEST_HINT
    assert not re.search(r"[^\s<>@:]@[^\s<>@:]", found.text), "an address was kept"
    assert "\n" not in found.cause("mx.example")


REPLY_TEXTS = TEXT | st.just("many words " * 40) | st.builds(
    " ".join,
    st.lists(st.sampled_from(["5.1.1", "4.2.2", "<bat@example.mn>:", "unknown", "greylisted,", "try again in 99999 minutes", "a@b", "\x07", "\n"]), max_size=6),
)  # fmt: skip


def _check_report(data: bytes) -> None:
    try:
        found = bounce.read_report(data)
    except NoReport:
        return
    assert len(found.failures) <= bounce.MOST_RECIPIENTS
    assert not any(re.search(r"[^\s<>@:]@[^\s<>@:]", one.why) for one in found.failures), "an address was kept"
    list(found.ours(b"a-secret"))


REPORTS = st.builds(
    lambda status, words, headers_only: report(sent(), status=status, words=words, headers_only=headers_only),
    st.sampled_from(["5.1.1", "x", "5.7.1"]), st.text(max_size=20), st.booleans(),
)  # fmt: skip

# Webhooks, over the route itself

CALLER, OPERATOR = "a-key-of-an-application", "a-key-of-an-operator"
INTAKE_WORDS = ("admitted", "seen", "limited", "full")


async def _admit(payload: SignIn, request: str | None) -> tuple[str, Receipt]:
    assert not list(payload.faults())
    return payload.job_id or "made", Receipt(INTAKE_WORDS[len(payload.user_id) % 3])  # type: ignore[arg-type]


def _app() -> Any:
    told = Told()
    sources = {
        name: Intake(name, SOURCES[name], [SOURCES[name].scheme.key(secret)], _admit, told, lambda _why: None)
        for name, secret in SECRETS.items()
    }

    async def nothing(_job_id: str = "") -> None:
        return None

    return create_app(
        ApiParts(
            queue=Queue("unix:///nowhere/valkey.sock"), kinds=[Kind("ping", Ping)], find=nothing, inbox=None,
            api_keys=(CALLER,), admin_keys=(OPERATOR,), tell=told, close=nothing, routes=[webhook_route(sources)],
        )
    )  # fmt: skip


APP = _app()


async def _ask(method: str, path: str, headers: list[tuple[bytes, bytes]], content: bytes) -> int:
    """The status of the answer, asked past the network: a header may have any bytes that a server lets through."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 3333), "scheme": "http",
        "root_path": "",
    }  # fmt: skip
    said: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(told: Any) -> None:
        if told["type"] == "http.response.start":
            said.append(told["status"])

    await APP(scope, receive, send)
    return said[0]


HEADER_BYTES = st.binary(max_size=30).map(lambda value: bytes(octet for octet in value if octet not in (0, 10, 13)))


@st.composite
def webhooks(draw: st.DrawFn) -> tuple[str, list[tuple[bytes, bytes]], bytes, bytes]:
    """A recorded event with values replaced, signed; and of a header that was changed the right value, else nothing."""
    path = draw(st.sampled_from(RECORDED))
    source, event = source_of(path), fresh(path)
    for _ in range(draw(st.integers(0, 3))):
        _replace(draw, event)
    content = draw(hurt(st.just(json.dumps(event).encode())) | st.just(json.dumps(event).encode()))
    headers = [(name.encode(), value.encode()) for name, value in signed(source, content).items()]
    right = b""
    if draw(st.booleans()):
        at = draw(st.integers(0, len(headers) - 1))
        name, right = headers[at]
        headers[at] = (
            name,
            draw(HEADER_BYTES | st.sampled_from([b"v1,\xe9", b"t=1, v1=\xff", right[:-1], b"x" + right])),
        )
    return source, headers, content, right


LEAVES = (
    st.none()
    | st.text(max_size=8)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.builds(list)
    | st.builds(dict)
    | st.builds(lambda: [{}])
)


def _replace(draw: st.DrawFn, value: Any) -> None:
    """Put something else somewhere into a JSON value."""
    while isinstance(value, dict | list) and value:
        key = draw(st.sampled_from(sorted(value))) if isinstance(value, dict) else draw(st.integers(0, len(value) - 1))
        if draw(st.booleans()) or not isinstance(value[key], dict | list):
            value[key] = draw(LEAVES)
            return
        value = value[key]


def _check_webhook(given: tuple[str, list[tuple[bytes, bytes]], bytes, bytes]) -> None:
    source, headers, content, right = given
    status = asyncio.run(_ask("POST", f"/api/webhooks/{source}", headers, content))
    assert status in (200, 202, 400, 401, 503), status
    if right:  # one header had this value, and has another
        assert status == 401 or any(right.split()[-1] in value for _, value in headers), "a forged request was taken"


AUTHORIZATIONS = HEADER_BYTES | st.builds(
    lambda scheme, value: scheme + b" " + value,
    st.sampled_from([b"Bearer", b"bearer", b"Basic", b"basic", b"Digest"]),
    HEADER_BYTES | st.binary(max_size=30).map(base64.b64encode) | st.just(base64.b64encode(b"me:" + CALLER.encode())) | st.sampled_from([CALLER.encode(), CALLER.encode() + b" ", b"\xe9"]),
)  # fmt: skip


def _check_authorization(given: tuple[bytes, bytes]) -> None:
    header, name = given
    headers = [(b"authorization", header), (b"x-operator", name)]
    status = asyncio.run(_ask("GET", "/api/admin/dlq", headers, b""))
    assert status in (401, 403), "somebody without an operator's key was let in, or it broke"
    known = CALLER.encode() in header or base64.b64encode(b"me:" + CALLER.encode()) in header
    assert status == 401 or known


# Addresses, pages, cursors


def _check_client(given: tuple[str, str, int, str]) -> None:
    peer, forwarded, proxies, claim = given
    found = client_address.client_ip(peer, forwarded, proxies)
    assert found is None or str(ipaddress.ip_address(found)) == found
    heard = [one for one in forwarded.split(",") if one.strip()]
    if 0 < proxies <= len(heard):
        assert client_address.client_ip(peer, f"{claim.replace(',', ' ')},{forwarded}", proxies) == found, (
            "the client chose his address"
        )
    if proxies == 0:
        assert found == client_address.client_ip(peer, None, 0), "nobody's header was believed"


ADDRESSES = st.sampled_from(
    ["192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", "::ffff:1.2.3.4", "fe80::1%eth0", "x", "[", ""]
) | st.text(max_size=8)


def _check_device(agent: str) -> None:
    found = device.device_of(agent)
    assert found == "" or found.count("|") >= 2
    assert len(device.mark(b"secret", "device", found)) == 12


def _check_choice(data: bytes) -> None:
    back = door.own_path(door._form(data).get("back", ""))
    pages = ("/dashboard", "/inbox")
    assert back in pages or back.startswith(tuple(f"{page}{sign}" for page in pages for sign in "/?"))
    assert back.isprintable()
    assert "\\" not in back
    httpx.Headers({"location": back})


WATCH = Watch(Queue("unix:///nowhere/valkey.sock"))
WATCH._events.append(Event(job="a", name="died", at=1, kind="ping", state="dead"))
WATCH._count = 1


def _check_cursor(last: str) -> None:
    assert 0 <= WATCH.cursor(last) <= 1


TARGETS = [
    Target(
        "mails and their headers", st.tuples(SUBJECTS, TEXT, RECIPIENTS, TEXT | st.just(".\n..\nhello")), _check_mail,
        (
            Bug(quoted, "_encode", r'or b"\n." in octets', ""),
            Bug(message, "_frame", "for value in (subject, sender.name, sender.address, language):", "for value in (sender.name,):"),
        ),
    ),
    Target(
        "texts filled into texts", st.tuples(st.lists(LONGER, max_size=3), st.lists(LONGER, max_size=3)), _check_skeleton,
        (Bug(quoted, "_room", "if len(encoded) - (encoded.rfind(b\"\\n\") + 1) < LINE_OCTETS:", "if True:"),),
    ),
    Target(
        "SMTP replies, any bytes in any pieces", st.tuples(CHUNKS, st.booleans()), _check_session,
        (
            Bug(Session, "_line", "len(line) > LINE_OCTETS or self._octets > REPLY_OCTETS", "False"),
            Bug(Session, "_line", "code.isdigit() and", ""),
            Bug(Session, "_text", "raise InDoubt(str(lost), lost.word) from None", "raise"),
            Bug(Session, "deliver", "await self._committed(commit)\n        return await self._text(message)",
                "await self._text(message)\n        return await self._committed(commit)"),
        ), cost=4,
    ),
    Target(
        "what replies mean", st.tuples(st.integers(0, 999), REPLY_TEXTS, st.sampled_from(["connect", "login", "mail", "rcpt", "data", "dot"])),
        _check_reply,
        (
            Bug(reply, "redact", "[:REPLY_LENGTH]", ""),
            Bug(reply, "redact", "if line.isprintable() else \"\".join(c if c.isprintable() else \"?\" for c in line)", ""),
            Bug(reply, "_hint", "return min(", "return max("),
        ),
    ),
    Target(
        "delivery reports", hurt(REPORTS), _check_report,
        (Bug(bounce, "_failure", "{redact(words)}", "{words}"),), cost=4,
    ),
    Target(
        "webhooks of every source", webhooks(), _check_webhook,
        (
            Bug(schemes, "_same", "return bool(sum(", "return True or bool(sum("),
            Bug(body.Body, "_value", "if not isinstance(value, dict):", "if False:"),
            Bug(body.Body, "moment", "except (ValueError, OverflowError, OSError)", "except OSError"),
            Bug(intake, "parted", "except (msgspec.DecodeError, UnicodeDecodeError, RecursionError)", "except RecursionError"),
        ), cost=2,
    ),
    Target(
        "Authorization headers", st.tuples(AUTHORIZATIONS, HEADER_BYTES), _check_authorization,
        (
            Bug(keys, "_given", "except ValueError", "except KeyError") ,
            Bug(keys.Keys, "_known", "hmac.compare_digest(key, given)", "given in key"),
        ), cost=2,
    ),
    Target(
        "X-Forwarded-For", st.tuples(ADDRESSES, st.lists(ADDRESSES, max_size=4).map(",".join), st.integers(0, 3), ADDRESSES), _check_client,
        (
            Bug(client_address, "client_ip", "heard[-min(proxies, len(heard))]", "heard[0]"),
            Bug(client_address, "_address", "except ValueError", "except KeyError"),
        ),
    ),
    Target("browsers", TEXT | st.text("Mozila/5.0 (Android;iPad)", max_size=60), _check_device),
    Target(
        "the dashboard's choices", st.binary(max_size=60) | st.builds(lambda back: b"language=mn&back=" + back, st.sampled_from([b"/dashboard", b"//evil.mn", b"/dashboard/%0d%0aX:y", b"/\\evil.mn", b"/dashboardx"]) | st.binary(max_size=20)),
        _check_choice,
        (),
    ),
    Target(
        "names of events", TEXT | st.from_regex(r"[0-9a-f]{8}-[0-9\u0660-\u0669\u00b2]{1,30}-[0-9]{1,30}"), _check_cursor,
        (Bug(Watch, "cursor", "if not (number.isdecimal() and at.isdecimal()):", "if False:"),),
    ),
]  # fmt: skip
