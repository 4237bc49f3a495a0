"""The spool's file format: a header, then frames, each with a mark, a kind, a length and a checksum.

    header   8 bytes, «YBspool» and the version
    frame    mark 4 · kind 1 · length 4 · CRC-32 4 (little-endian) · data

The checksum covers where the frame stands too, so that bytes which lie elsewhere, such as in another frame's data or in
what an earlier write left behind, are no frame. What is damaged is passed over, up to the next mark with a right
checksum.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

HEADER = b"YBspool1"
FAMILY = HEADER[:-1]
MARK = b"\xf5\x9dYB"  # 0xf5 stands in no UTF-8 text, so a record of text never holds it
RECORD, DONE = 1, 2
LONGEST_RECORD = 1024 * 1024

_HEAD = struct.Struct("<4sBII")
_PLACE = struct.Struct("<Q")
HEAD_BYTES = _HEAD.size


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: where it begins in the file, its kind, its data."""

    offset: int
    kind: int
    data: bytes

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.offset + HEAD_BYTES + len(self.data)


@dataclass(slots=True)
class Scanned:
    """What a file holds: its frames, where the last good one ends, how many bytes before that are damaged."""

    frames: list[Frame] = field(default_factory=list)
    end: int = len(HEADER)
    damaged: int = 0


def _sum(kind: int, offset: int, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(struct.pack("<BQI", kind, offset, len(data))))


def encode(kind: int, data: bytes, offset: int) -> bytes:
    """The bytes of a frame that will stand at `offset`. Raises `ValueError` where the data is too long."""
    if len(data) > LONGEST_RECORD:
        raise ValueError(f"a record has at most {LONGEST_RECORD} bytes; this one has {len(data)}")
    return _HEAD.pack(MARK, kind, len(data), _sum(kind, offset, data)) + data


def encode_done(record: int, offset: int) -> bytes:
    """The frame that strikes the record at `record` off."""
    return encode(DONE, _PLACE.pack(record), offset)


def decode(data: bytes, at: int, base: int = 0) -> Frame | None:
    """The frame at `data[at:]`, which stands at `base + at` of its file; None where there is none."""
    if len(data) - at < HEAD_BYTES:
        return None
    mark, kind, length, checksum = _HEAD.unpack_from(data, at)
    begin = at + HEAD_BYTES
    if mark != MARK or length > LONGEST_RECORD or begin + length > len(data):
        return None
    body = data[begin : begin + length]
    return Frame(base + at, kind, body) if _sum(kind, base + at, body) == checksum else None


def scan(data: bytes) -> Scanned:
    """Every good frame of a file's bytes. Never raises; what follows `end` is a torn tail."""
    found = Scanned()
    at = len(HEADER)
    while at < len(data):
        frame = decode(data, at)
        if frame is None:
            at = data.find(MARK, at + 1)
            if at < 0:
                break
            continue
        found.damaged += at - found.end
        found.frames.append(frame)
        at = found.end = frame.end
    return found


def waiting(frames: list[Frame]) -> Iterator[Frame]:
    """The records that no later frame strikes off, in order."""
    struck = {_PLACE.unpack(frame.data)[0] for frame in frames if frame.kind == DONE and len(frame.data) == _PLACE.size}
    return (frame for frame in frames if frame.kind == RECORD and frame.offset not in struck)
