"""A payload as the queue stores it: short, and never taken for another one."""

import hashlib
from typing import Any, Generic, TypeVar

import msgspec

from yellowbooks.jobs.outcome import Unknown, Unreadable
from yellowbooks.jobs.seal import MARK as SEALED

P = TypeVar("P", bound=msgspec.Struct)
_pack = msgspec.msgpack.Encoder().encode


class Stored(Generic[P]):
    """Two bytes that name the fields and their order, then the values alone as a MessagePack array, without `job_id`.

    A kind may get further fields at its end, if they have defaults: what was stored before is read as before, and a
    worker that does not know the new ones leaves such a job to one that does. Fields in another order, renamed or
    removed are another payload, which no worker takes for this one.
    """

    def __init__(self, payload: type[P]) -> None:
        fields = [field for field in msgspec.structs.fields(payload) if field.name != "job_id"]
        self._payload = payload
        self._names = tuple(field.name for field in fields)
        self._mark = _mark(self._names)
        self._known = {_mark(self._names[:count]) for count in range(len(fields) + 1)}
        if SEALED in self._known:
            raise ValueError(f"the fields of {payload.__name__} have the mark of a seal; give one of them another name")
        layout = msgspec.defstruct(
            f"{payload.__name__}Stored", [_definition(field) for field in fields], array_like=True
        )
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(layout)

    def encode(self, payload: P) -> bytes:
        """The bytes to store."""
        return self._mark + _pack([getattr(payload, name) for name in self._names])

    def decode(self, kind: str, stored: bytes) -> P:
        """The payload. Raises `Unknown` (another version's) or `Unreadable` (spoilt)."""
        if stored[:2] not in self._known:
            raise Unknown(f"payload version {stored[:2].hex() or 'missing'} is not known here; run a newer worker")
        try:
            found = self._decoder.decode(memoryview(stored)[2:])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Unreadable(f"the stored payload does not fit {kind}: {error}") from None
        return self._payload(**dict(zip(self._names, msgspec.structs.astuple(found), strict=True)))


def _mark(names: tuple[str, ...]) -> bytes:
    return hashlib.sha1(",".join(names).encode(), usedforsecurity=False).digest()[:2]


def _definition(field: msgspec.structs.FieldInfo) -> tuple[str, Any] | tuple[str, Any, Any]:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.name, field.type, msgspec.field(default_factory=field.default_factory)
    if field.default is not msgspec.NODEFAULT:
        return field.name, field.type, field.default
    return field.name, field.type
