"""Whether a sign-in is told at once or in a summary: the Python half of `notices.lua`, over keys beside the queue."""

import base64
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import msgspec

from yellowbooks.jobs import BrokenSeal, Rate, Seal, UnknownKey
from yellowbooks.mail import fold
from yellowbooks.signin.browser import name_browser
from yellowbooks.signin.device import Origin, mark, origin
from yellowbooks.signin.event import SignIn

Execute = Callable[..., Awaitable[Any]]
"""Runs one command at Valkey; raises `ConnectionError` where it is away."""

AtOnce = Literal["every", "new_device", "suspicious"]
SCRIPT = (files("yellowbooks.signin") / "notices.lua").read_text("utf-8")
WINDOW = b"signin-window"  # what the seal of a window's words is about
NOTHING = msgspec.json.encode(["", None, ""]).decode()
_pack = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is told at once; the rest stands in a summary when `window` (s) ends.

    At most `user` mails at once a user, `recipient` an address and `everybody` in all: what is over goes into a
    summary when the window of `user` ends. Half of each is there for devices that are not known.
    """

    at_once: AtOnce
    user: Rate
    recipient: Rate
    everybody: Rate
    window: float

    @property
    def slow(self) -> float:
        """Seconds until a summary of what the policy does not tell at once; never sooner than that of the limit."""
        return max(self.window, self.user.window)


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one sign-in is told. `due` (ms since 1970) is when the summary of `window` leaves.

    `reason` is first, new_device, new_network, new_both, dormant, known or unknown. `cap` is the limit that sent it
    into a summary; `alarm` is set for the one job in an hour that tells of it.
    """

    told: Literal["now", "later"]
    reason: str
    window: str = ""
    due: int = 0
    cap: str = ""
    alarm: str = ""


class Shown(msgspec.Struct, frozen=True, array_like=True):
    """What a summary shows of a group of sign-ins: the raw parts, which the letter writes as those of any mail."""

    browser: str
    ip_address: str | None
    provider: str


class Group(msgspec.Struct, frozen=True):
    """Sign-ins of one user that look alike. `others` counts those that had no room in the list. Times are ms."""

    count: int
    first: int
    last: int
    shown: str
    new: bool
    user: str
    others: bool = False

    @property
    def parts(self) -> Shown:
        """What is shown of it; nothing of those that are only counted."""
        return msgspec.json.decode(self.shown or NOTHING, type=Shown)


class Known(msgspec.Struct, frozen=True, rename="camel"):
    """What is remembered of a user: keyed hashes of his devices and networks, and when he last signed in (ms)."""

    devices: list[str]
    networks: list[str]
    last_sign_in: int


class Closed(msgspec.Struct, frozen=True):
    """A window that takes no more. `wait` (ms) where everybody's cap leaves no room for its summary now."""

    wait: int
    groups: list[Group]
    alarm: str = ""


class Notices:
    """Decides, and remembers what mails have told. `name` tells memories on one server apart; with `seal` the server
    cannot read what a window will show.

    Every method raises `ConnectionError` where Valkey is away; each may be asked again and answers alike.
    """

    def __init__(
        self, execute: Execute, secret: bytes, policy: Policy, *, name: str = "notices", seal: Seal | None = None
    ) -> None:
        self._execute = execute
        self._secret = secret
        self._tag = f"{{yb:{name}}}"
        self._seal = seal
        self.policy = policy
        self._limits = {
            "limit": policy.user.limit, "window": _ms(policy.user.window), "slow": _ms(policy.slow),
            "to_limit": policy.recipient.limit, "to_window": _ms(policy.recipient.window),
            "all_limit": policy.everybody.limit, "all_window": _ms(policy.everybody.window),
        }  # fmt: skip

    async def decide(self, job_id: str, sign_in: SignIn, created: int) -> Verdict:
        """How this job's sign-in is told; `created` (ms) is its time where the event has none."""
        came = origin(sign_in, self._secret)
        shown = Shown(name_browser(sign_in.user_agent), sign_in.ip_address, sign_in.provider)
        words = msgspec.json.encode(shown).decode()
        user = self._mark("user", sign_in.user_id)
        at = round(sign_in.timestamp.timestamp() * 1000) if sign_in.timestamp else created
        verdict: Verdict = await self._run(
            "decide", Verdict, job=self._mark("job", job_id), policy=self.policy.at_once, user=user,
            to=self._mark("to", fold(sign_in.email)), device=came.device, network=came.network, at=at,
            shown=self._close(words), group=self._mark("group", f"{user} {came.device} {words}"),
        )  # fmt: skip
        return verdict

    async def told(self, job_id: str, sign_in: SignIn) -> None:
        """A mail has told of this sign-in: what it came from is known from now on."""
        await self._done(job_id, sign_in, origin(sign_in, self._secret))

    async def kept(self, job_id: str, sign_in: SignIn) -> None:
        """The summary that will tell of this sign-in is in the queue."""
        await self._done(job_id, sign_in, None)

    async def close(self, window: str, email: str) -> Closed:
        """What the summary of a window has to tell; nothing comes into the window from now on."""
        closed: Closed = await self._run("close", Closed, id=window, to=self._mark("to", fold(email)))
        groups = [msgspec.structs.replace(group, shown=self._open(group.shown)) for group in closed.groups]
        return msgspec.structs.replace(closed, groups=groups)

    async def summed(self, window: str) -> None:
        """A summary has told of its window."""
        await self._run("summed", str, id=window)

    async def forget(self, user_id: str) -> bool:
        """Forget a user's devices and networks; whether there were any."""
        return bool(await self._run("forget", int, user=self._mark("user", user_id)))

    async def known(self, user_id: str) -> Known | None:
        """What is remembered of a user; None where it is nothing."""
        stored = await self._execute("GET", f"{self._tag}:user:{self._mark('user', user_id)}")
        if not stored:
            return None
        user = msgspec.msgpack.decode(stored)
        devices, networks = user.get("d") or {}, user.get("n") or {}
        return Known(sorted(_whole(devices)), sorted(_whole(networks)), round(user.get("last") or 0))

    async def waiting(self, user_id: str) -> list[tuple[str, Group]]:
        """What waits to be told of a user in summaries: the window and the group of each."""
        user, found = self._mark("user", user_id), list[tuple[str, Group]]()
        for key in await self._windows():
            stored = await self._execute("HGETALL", key)
            fields = stored if isinstance(stored, dict) else dict(zip(stored[::2], stored[1::2], strict=True))
            for name, packed in fields.items():
                if name == b"closed":
                    continue
                one = msgspec.msgpack.decode(packed) | {"others": name[1:] == b"+"}
                group = msgspec.convert(one, Group, strict=False)
                if group.user == user:
                    shown = msgspec.structs.replace(group, shown=self._open(group.shown))
                    found.append((key.removeprefix(f"{self._tag}:window:"), shown))
        return found

    async def shared(self, window: str, user_id: str) -> bool:
        """Take a user out of a window: whether something of others is left in it."""
        _, left = await self._run("take_out", tuple[int, int], id=window, user=self._mark("user", user_id))
        return bool(left)

    async def erase(self, user_id: str, addresses: Iterable[str], job_ids: Iterable[str]) -> int:
        """Forget a user, what waits to be told of him, who gets mail at these addresses, and what was decided for these
        jobs: how many devices and groups that were."""
        windows = {window for window, _ in await self.waiting(user_id)}
        user, gone = self._mark("user", user_id), int(await self.forget(user_id))
        for window in windows:
            gone += (await self._run("take_out", tuple[int, int], id=window, user=user))[0]
        recipients = [self._mark("to", fold(address)) for address in addresses]
        await self._run("forget_marks", str, recipients=recipients, jobs=[self._mark("job", one) for one in job_ids])
        return gone

    async def _windows(self) -> list[str]:
        keys, cursor = set[bytes](), b"0"
        while True:
            cursor, some = await self._execute("SCAN", cursor, "MATCH", f"{self._tag}:window:*", "COUNT", 1000)
            keys.update(some)
            if int(cursor) == 0:
                return [key.decode() for key in sorted(keys)]

    async def _done(self, job_id: str, sign_in: SignIn, came: Origin | None) -> None:
        await self._run(
            "done", str, job=self._mark("job", job_id), user=self._mark("user", sign_in.user_id),
            device=came.device if came else "", network=came.network if came else "", learn=came is not None,
        )  # fmt: skip

    def _close(self, words: str) -> str:
        if not self._seal:
            return words
        return base64.b64encode(self._seal.close(words.encode(), WINDOW)).decode()

    def _open(self, stored: str) -> str:
        """What is shown; of what no key opens any more nothing, but it is counted all the same."""
        if not stored or stored.startswith("["):
            return stored
        try:
            return self._seal.open(base64.b64decode(stored), WINDOW).decode() if self._seal else NOTHING
        except (UnknownKey, BrokenSeal):
            return NOTHING

    def _mark(self, sort: str, value: str) -> str:
        return mark(self._secret, sort, value)

    async def _run(self, verb: str, answer: type[Any], **args: Any) -> Any:
        packed = _pack(self._limits | args)
        return msgspec.msgpack.decode(await self._execute("EVAL", SCRIPT, 1, self._tag, verb, packed), type=answer)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _whole(marks: dict[Any, Any]) -> list[str]:
    return [mark.decode() if isinstance(mark, bytes) else str(mark) for mark in marks]


def count(groups: Sequence[Group]) -> int:
    """How many sign-ins there are in all."""
    return sum(group.count for group in groups)
