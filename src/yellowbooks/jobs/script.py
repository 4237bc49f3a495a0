"""Loads the Lua of a transition and binds it to Python by name, never by number."""

import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Generic, TypeVar

import msgspec
from valkey.exceptions import NoScriptError

_FOLDER = files("yellowbooks.jobs") / "transitions"
_PRELUDE = (_FOLDER / "prelude.lua").read_text("utf-8")
_pack = msgspec.msgpack.Encoder().encode

A = TypeVar("A")


class Script(Generic[A]):
    """One transition: a prelude shared by all, then its own file.

    A file opens with its flags, one sentence, and what it takes and gives:

        -- args: items lease        the names of the arguments
        -- item: id token           the names in each of `items`
        -- gives: kept | lost       the words it answers with
        -- emits: ...               the events it appends

    Raises `TypeError` on import where `args` or the fields of `item` differ from those lines.
    """

    def __init__(
        self, name: str, answer: Any, *, args: tuple[str, ...], item: type[msgspec.Struct] | None = None
    ) -> None:
        source = (_FOLDER / f"{name}.lua").read_text("utf-8")
        flags, _, body = source.partition("\n")
        self.name = name
        self.contract = {
            key: tuple(words.replace("|", " ").split())
            for key, words in re.findall(r"^-- (args|item|gives|emits):(.*)$", body, re.MULTILINE)
        }
        self._check(args, item.__struct_fields__ if item else ())
        self.text = f"{flags}\n{_PRELUDE}\n{body}"
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        self._decoder = msgspec.msgpack.Decoder(answer, strict=False)

    def _check(self, args: tuple[str, ...], item: tuple[str, ...]) -> None:
        for key, ours in (("args", args), ("item", item)):
            theirs = self.contract.get(key, ())
            if set(theirs) != set(ours):
                raise TypeError(f"{self.name}.lua: {key} are {sorted(theirs)}, the caller has {sorted(ours)}")
        if "gives" not in self.contract or "emits" not in self.contract:
            raise TypeError(f"{self.name}.lua: say what it gives and what it emits")
        self._args = frozenset(args)

    async def __call__(
        self, client: Any, tag: str, payloads: Sequence[bytes] = (), **args: Any
    ) -> tuple[A, Sequence[bytes]]:
        """Run the transition as one call; gives its answer and what came beside it.

        Bytes travel beside the packed arguments, as the server's MessagePack has no binary type.
        Raises the client's own errors.
        """
        if args.keys() != self._args:
            raise TypeError(f"{self.name} takes {sorted(self._args)}, not {sorted(args)}")
        packed = _pack(args)
        try:
            reply = await client.execute_command("EVALSHA", self.sha, 1, tag, packed, *payloads)
        except NoScriptError:
            reply = await client.execute_command("EVAL", self.text, 1, tag, packed, *payloads)
        answer, *others = reply if isinstance(reply, list) else (reply,)
        return self._decoder.decode(answer), others
