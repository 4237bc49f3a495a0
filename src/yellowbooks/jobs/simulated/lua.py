"""Runs the transitions' Lua in this process, with the libraries that the server gives them."""

import re
import struct
from collections.abc import Sequence
from typing import Any

import msgspec
from lupa import lua51

from yellowbooks.jobs.script import Script
from yellowbooks.jobs.simulated.store import Refused, Store, sha1hex

_LIBRARIES = b"""
redis = {call = function(...) return redis_call(...) end, pcall = function(...) return redis_pcall(...) end,
  sha1hex = sha1hex}
struct = {pack = function(...) return struct_pack(...) end,
  unpack = function(...) return unpack(struct_unpack(...)) end}
cmsgpack = {pack = function(...) return msgpack_pack(...) end, unpack = function(...) return msgpack_unpack(...) end}
"""
_STEP = re.compile(rb"([BIcd])(\d*)")


class Engine:
    """One Lua runtime with the transitions in it; it works on whatever store it is given."""

    def __init__(self) -> None:
        self._lua = lua51.LuaRuntime(encoding=None, unpack_returned_tuples=False)
        self._store = Store()
        self._functions: dict[str, Any] = {}
        names: Any = self._lua.globals()
        for name, function in {
            b"redis_call": self._call,
            b"redis_pcall": self._try,
            b"sha1hex": sha1hex,
            b"struct_pack": _struct_pack,
            b"struct_unpack": self._struct_unpack,
            b"msgpack_pack": lambda *values: b"".join(_pack(value) for value in values),
            b"msgpack_unpack": self._msgpack_unpack,
        }.items():
            names[name] = function
        self._lua.execute(_LIBRARIES)

    def run(self, script: Script[Any], store: Store, tag: str, argv: Sequence[bytes]) -> Any:
        """One transition on this store; gives the server's reply. Raises `Refused`."""
        return self.evaluate(script.text, store, [tag.encode()], argv)

    def evaluate(self, text: str, store: Store, keys: Sequence[bytes], argv: Sequence[bytes]) -> Any:
        """Any script whose first line says its flags. Raises `Refused`."""
        function = self._functions.get(text)
        if function is None:
            body = text.partition("\n")[2].encode()
            function = self._lua.execute(b"return function(KEYS, ARGV) " + body + b"\nend")
            self._functions[text] = function
        self._store = store
        try:
            reply = function(self._table(list(keys)), self._table(list(argv)))
        except lua51.LuaError as error:
            raise Refused(f"ERR {error}") from error
        return list(reply.values()) if lua51.lua_type(reply) == "table" else reply

    def _table(self, items: Any) -> Any:
        return self._lua.table_from(items)

    def _call(self, name: bytes, *args: object) -> Any:
        return self._lua_reply(self._store.call(name.decode(), *args))

    def _try(self, name: bytes, *args: object) -> Any:
        try:
            return self._call(name, *args)
        except Refused as error:
            return self._table({b"err": str(error).encode()})

    def _lua_reply(self, value: Any) -> Any:
        if value is None:
            return False
        if isinstance(value, list):
            return self._table([self._lua_reply(item) for item in value])
        if isinstance(value, str):
            return self._table({b"ok": value.encode()})
        return value

    def _struct_unpack(self, layout: bytes, data: bytes, start: int = 1) -> Any:
        at = int(start) - 1
        values: list[Any] = []
        for letter, digits in _STEP.findall(layout):
            size = int(values.pop()) if digits == b"0" else 8 if letter == b"d" else int(digits or b"1")
            piece = data[at : at + size]
            if len(piece) < size:
                raise Refused("data string too short")
            value: Any = piece
            if letter in b"BI":
                value = int.from_bytes(piece, "big")
            elif letter == b"d":
                value = struct.unpack(">d", piece)[0]
            values.append(value)
            at += size
        return self._table([*values, at + 1])

    def _msgpack_unpack(self, packed: bytes) -> Any:
        return self._lua_value(msgspec.msgpack.decode(packed))

    def _lua_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._table({self._lua_value(k): self._lua_value(v) for k, v in value.items()})
        if isinstance(value, list):
            return self._table([self._lua_value(item) for item in value])
        return value.encode() if isinstance(value, str) else value


def _struct_pack(layout: bytes, *values: Any) -> bytes:
    rest, out = list(values), []
    for letter, digits in _STEP.findall(layout):
        value = rest.pop(0)
        if letter == b"c":
            out.append(value if digits == b"0" else value[: int(digits)])
        elif letter == b"d":
            out.append(struct.pack(">d", value))
        else:
            out.append(int(value).to_bytes(int(digits or b"1"), "big"))
    return b"".join(out)


def _head(count: int, fixed: int, most: int, *wide: int) -> bytes:
    """A MessagePack header: a count in the first byte, or after it in 1, 2 or 4 bytes."""
    if count <= most:
        return bytes([fixed | count])
    for size, mark in zip((1, 2, 4)[3 - len(wide) :], wide, strict=True):
        if count < 1 << 8 * size:
            return bytes([mark]) + count.to_bytes(size, "big")
    raise Refused("too long")


def _pack(value: Any) -> bytes:
    """As the server's cmsgpack does: strings as `str`, whole numbers as integers, a table with 1..n as an array."""
    if isinstance(value, bytes):
        return _head(len(value), 0xA0, 31, 0xD9, 0xDA, 0xDB) + value
    if value is None or isinstance(value, bool | int | float):
        whole = isinstance(value, float) and value.is_integer()
        return msgspec.msgpack.encode(int(value) if whole and value is not None else value)
    keys: list[Any] = list(value.keys())
    if keys == list(range(1, len(keys) + 1)):
        return _head(len(keys), 0x90, 15, 0xDC, 0xDD) + b"".join(_pack(item) for item in value.values())
    return _head(len(keys), 0x80, 15, 0xDE, 0xDF) + b"".join(_pack(k) + _pack(v) for k, v in value.items())
