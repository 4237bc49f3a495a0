"""Targets: what is kept and read again, that is records, events, payloads, spools, links, keys and settings."""

import struct
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from tests.fuzz.parsers import Bug, Target, hurt
from tests.parts import Ping
from yellowbooks import access, settings, signin, spool
from yellowbooks.access import key as access_key
from yellowbooks.client import event as client_event
from yellowbooks.jobs import Backoff, Event, Invalid, Job, Kind, Rate, Unknown, Unreadable, record, stored
from yellowbooks.notme import BadLink, Links
from yellowbooks.notme import links as links_module
from yellowbooks.sealing import Keyring
from yellowbooks.spool import disk, frame, segment

NAMES = st.from_regex(r"\A[a-z][a-z0-9-]{0,12}\Z")


# Records


def _record(kind: bytes, account: bytes, payload: bytes, state: int, trace: bytes) -> bytes:
    head = record.HEAD.pack(
        record.VERSION, state, 1, 0, b"t" * 16, b"\1" * 6, b"\2" * 6, 0, 0, 0, 0, b"\3" * 6, b"\4" * 6
    )
    return head + record.body(b"f" * 8, b"n" * 16 + trace, 1, 5, 0, kind, account, payload)


RECORDS = st.builds(
    _record, NAMES.map(str.encode) | st.binary(max_size=3), NAMES.map(str.encode) | st.binary(max_size=3),
    st.binary(min_size=1, max_size=80), st.integers(0, 2 + len(record.STATES)),
    st.sampled_from([b"", b"x" * record.TRACE_SIZE]),
)  # fmt: skip
LINES = st.lists(
    st.builds(
        lambda name, more: msgspec.msgpack.encode([name, 1, "dead", 1, more]),
        st.sampled_from(["admitted", "died", "claimed"]),
        st.none()
        | st.dictionaries(st.sampled_from(["error", "by", "job", "name", "new"]), st.text(max_size=5), max_size=3),
    ),
    max_size=4,
).map(lambda lines: b"".join(struct.pack(">H", len(line)) + line for line in lines))


def _check_record(given: tuple[bytes, bytes]) -> None:
    raw, story = given
    found = record.parse(raw)
    assert found is None or (found.state in record.STATES and len(found.payload) < len(raw))
    shown = record.job_of("a", raw, story)
    assert isinstance(shown, Job) or (shown is None and found is None)
    for read in (record.claimed, record.stored_of, lambda raw: record.body_in(raw, sealed=False)):
        read(raw)


def _check_whole_record(given: tuple[str, bytes]) -> None:
    kind, payload = given
    raw = _record(kind.encode(), b"account", payload, 1, b"")
    assert record.stored_of(raw) == (kind, payload)
    claimed = record.claimed(raw)
    assert claimed
    assert claimed[6:8] == (kind, payload)


# Events


def _group(more: Any) -> list[Any]:
    return ["died", "ping", "dead", [["a", 1, 5, more], ["b", 1, 5, None]]]


ENTRIES = st.lists(
    st.none()
    | st.dictionaries(
        st.sampled_from(["error", "cause", "job", "at", "position", "new"]),
        st.text(max_size=5) | st.integers(0, 9),
        max_size=3,
    ),
    max_size=3,
).map(lambda several: msgspec.msgpack.encode([_group(more) for more in several]))


def _check_events(given: tuple[bytes, bytes]) -> None:
    packed, worker = given
    found = record.events_of(b"1763968888123-7", packed, worker)
    assert all(isinstance(one, Event) and one.at == 1763968888123 for one in found)
    assert all(isinstance(one.job, str) for one in found)


# Payloads

PING, SIGN_IN = Kind("ping", Ping), signin.kind(rate=Rate(10, 3600), backoff=Backoff())
SEALED = Kind("ping", Ping, seal=Keyring(["a-secret-of-thirty-two-characters-or-more"]))
PINGS = st.builds(Ping, user=st.text(max_size=20), note=st.text(max_size=60))


def _check_sealed(given: tuple[Ping, float, int, bytes]) -> None:
    """A sealed payload that was changed anywhere is opened by nobody; one that was not is what it was."""
    payload, where, bit, tail = given
    closed = SEALED.encode(payload)
    assert SEALED.decode(closed) == payload
    at = 2 + int(where * (len(closed) - 2))
    for spoilt in (
        closed[:at] + bytes([closed[at] ^ (1 << bit)]) + closed[at + 1 :],
        closed[:at],
        closed + tail + b"x",
    ):
        try:
            found = SEALED.decode(spoilt)
        except (Unknown, Unreadable):
            continue
        raise AssertionError(f"a spoilt payload was opened: {found}")


def _check_stored(data: bytes) -> None:
    try:
        found = PING.decode(data)
    except (Unknown, Unreadable):
        return
    assert isinstance(found.user, str)
    assert isinstance(found.note, str)


def _check_body(data: bytes) -> None:
    for kind in (SIGN_IN, PING):
        try:
            found = kind.parse(data)
        except Invalid as error:
            assert error.faults
            continue
        assert kind.decode(kind.encode(found)) == msgspec.structs.replace(found, job_id=None)


FIELDS = [
    "userId",
    "email",
    "provider",
    "name",
    "ipAddress",
    "userAgent",
    "jobId",
    "timestamp",
    "locale",
    "timeZone",
    "user",
]
VALUES = (
    st.text(max_size=12) | st.none() | st.integers() | st.floats() | st.booleans()
    | st.sampled_from(["bat@example.mn", "::1", "1.2.3.4", "mn", "Asia/Ulaanbaatar", "2025-12-18T23:00:00Z", "../etc", "America", "google"])
)  # fmt: skip
GOOD = {"userId": "u", "email": "bat@example.mn", "provider": "github"}
BODIES = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3).map(lambda some: msgspec.json.encode(GOOD | some))


# The spool


def _spooled(records: list[bytes], strokes: list[bytes] | None = None) -> bytes:
    data = frame.HEADER
    for one in records:
        data += frame.encode(frame.RECORD, one, len(data))
    for one in strokes or []:
        data += frame.encode(frame.DONE, one, len(data))
    return data


def _check_frames(given: tuple[list[bytes], bytes]) -> None:
    """Whatever happens to a file, each record that is read is one that was written; and the reading ends."""
    records, spoilt = given
    found = frame.scan(spoilt)
    assert all(one.kind != frame.RECORD or one.data in records for one in found.frames)
    assert [one.offset for one in found.frames] == sorted({one.offset for one in found.frames})
    assert found.end <= max(len(spoilt), len(frame.HEADER))
    list(frame.waiting(found.frames))


@st.composite
def spoilt_spools(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    records = draw(st.lists(st.binary(max_size=30) | st.just(frame.MARK), max_size=5))
    strokes = draw(st.lists(st.just(struct.pack("<Q", len(frame.HEADER))) | st.binary(max_size=9), max_size=2))
    return records, draw(hurt(st.just(_spooled(records, strokes))))


def _check_segment(given: tuple[list[bytes], bytes]) -> None:
    records, spoilt = given
    with tempfile.TemporaryDirectory(prefix="yb") as folder_:
        path = Path(folder_) / f"1{segment.SUFFIX}"
        path.write_bytes(spoilt)
        found = segment.Segment.take(disk.Disk(), path)
        if found is None:  # another release's file is left alone
            assert path.read_bytes() == spoilt
            return
        assert all(found.read(offset) in records for offset in found.waiting)
        assert path.stat().st_size <= found.end, "a torn tail was left"
        found.append([b"one more"])
        found.close()
        again = segment.Segment.take(disk.Disk(), path)
        assert again
        assert again.read(max(again.waiting)) == b"one more"
        again.close()


def _check_item(data: bytes) -> None:
    found = client_event.decode(data, spool.Place("x", 0))
    assert found is None or (found.encode() and isinstance(found.put, float))


# Links and keys

LINKS = Links("https://jobs.example.com", ["a-key-that-seals-links"])
MADE = LINKS.make("job", "user", "mn", datetime(2026, 1, 1, tzinfo=UTC)).rpartition("/")[2]


def _check_link(token: str) -> None:
    try:
        claim = LINKS.read(token)
    except BadLink:
        return
    assert (claim.job_id, claim.user_id) == ("job", "user"), "a link that we did not make"


TOKENS = hurt(st.just(MADE.encode())).map(lambda one: one.decode("latin-1")) | st.text(max_size=40)
ISSUED = access.make_key("api").text


def _check_key(text: str) -> None:
    found = access_key.read_key(text)
    assert found is None or text == ISSUED, "a key that was never made"


KEYS = hurt(st.just(ISSUED.encode())).map(lambda one: one.decode("latin-1")) | st.text(max_size=40)

# Settings

SETTING_TEXTS = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"[~/.a-z:@\[\]0-9>,%=\-]{0,30}"),
    st.sampled_from([
        "~nobody-of-this-name/x", "https://[", "https://[::1", "http://a:b", "smtp://[x]", "a:b", "1/second", "5s", "dead>1",
        "rediss+sentinel://a,b/c", "valkey+cluster://", "unix://", "postgresql://a:b@c:d/e", "x" * 40, "\ud800", "٣", "a" * 5000,
    ]),
)  # fmt: skip


def _check_setting(given: tuple[str, str]) -> None:
    name, text = given
    try:
        loaded = settings.load({name: text}, Path("/nowhere"))
    except settings.SettingsError as error:
        assert name in str(error) or "YB_" in str(error)
        secret = settings.NAMES[name].metadata["secret"]
        assert not (secret and len(text) > 8 and text.strip() in str(error)), "a secret stands in an error"
        return
    assert settings.shown(loaded)


TARGETS = [
    Target(
        "job records", st.tuples(hurt(RECORDS), hurt(LINES)), _check_record,
        (
            Bug(record, "parse", "except (UnicodeDecodeError, IndexError)", "except UnicodeDecodeError"),
            Bug(record, "parse", "not 1 <= raw[1] <= len(STATES)", "not raw[1]"),
            Bug(record, "claimed", "except (struct.error, IndexError, UnicodeDecodeError)", "except (struct.error, IndexError)"),
        ),
    ),
    Target(
        "job records, written and read", st.tuples(NAMES, st.binary(min_size=1, max_size=60)), _check_whole_record,
        (Bug(record, "claimed", "raw[payload_at:],", "raw[payload_at + 1 :],"),),
    ),
    Target(
        "the event stream", st.tuples(hurt(ENTRIES), st.sampled_from([b"worker", b"\xff"])), _check_events,
        (Bug(record, "events_of", "except (msgspec.MsgspecError, UnicodeDecodeError)", "except UnicodeDecodeError"),),
    ),
    Target(
        "sealed payloads",
        st.tuples(PINGS, st.floats(0, 1, exclude_max=True), st.integers(0, 7), st.binary(max_size=4)), _check_sealed,
        (Bug(Keyring, "open", "except (InvalidTag, ValueError)", "except ValueError"),),
    ),
    Target(
        "stored payloads", hurt(PINGS.map(PING.encode)), _check_stored,
        (Bug(stored.Stored, "decode", "except (msgspec.MsgspecError, UnicodeDecodeError)", "except UnicodeDecodeError"),),
    ),
    Target(
        "request bodies", hurt(BODIES) | BODIES, _check_body,
        (
            Bug(Kind, "parse", "(msgspec.DecodeError, UnicodeDecodeError, RecursionError)", "RecursionError"),
            Bug(signin.event, "is_zone", "except (ValueError, KeyError, OSError)", "except OSError"),
        ),
    ),
    Target(
        "spool files", spoilt_spools(), _check_frames,
        (
            Bug(frame, "decode", "if _sum(kind, base + at, body) == checksum else None", "if body else None"),
            Bug(frame, "waiting", "if frame.kind == DONE and len(frame.data) == _PLACE.size", "if frame.kind == DONE"),
        ),
    ),
    Target(
        "spool files, taken over", spoilt_spools(), _check_segment,
        (Bug(segment.Segment, "_read", "if found.end < len(data):", "if False:"),), cost=20,
    ),
    Target(
        "the client's records", hurt(st.just(b"kind\nid\n1.5\n{}")), _check_item,
        (Bug(client_event, "decode", "except ValueError", "except UnicodeDecodeError"),),
    ),
    Target(
        "links in mails", TOKENS, _check_link,
        (
            Bug(links_module.Links, "read", "or not token.isascii()", ""),
            Bug(links_module.Links, "read", "except InvalidTag", "except KeyError"),
        ),
    ),
    Target(
        "issued keys", KEYS, _check_key, (Bug(access_key, "read_key", "or _check(found[1]) != found[4]", ""),),
    ),
    Target(
        "settings", st.tuples(st.sampled_from(sorted(settings.NAMES)), SETTING_TEXTS), _check_setting,
        (Bug(settings, "load", 'shown = "its value" if one.metadata["secret"] else', "shown ="),),
    ),
]  # fmt: skip
