"""Where a queue's server is now: at an address, where Sentinels say, or at the node of a cluster that has its slot."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from valkey.asyncio import Connection, ConnectionPool, SSLConnection, Valkey
from valkey.crc import key_slot
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import ReadOnlyError, ResponseError

CONNECT_SECONDS = 5.0
REPLY_SECONDS = 10.0  # a server that is silent for longer is taken for lost
ASK_SECONDS = 1.0  # what a Sentinel, or a node that is asked for the map of slots, gets
MOST_ASKED = 5  # nodes that are asked for the map at once
PORTS = {"sentinel": 26_379, "cluster": 6379}
EXAMPLES = {
    "sentinel": "valkey+sentinel://10.0.0.1:26379,10.0.0.2:26379,10.0.0.3:26379/yellowbooks/0",
    "cluster": "valkey+cluster://10.0.0.1:6379,10.0.0.2:6379,10.0.0.3:6379",
}
# How a server says that it is not, or not any more, the one to ask. ASK is never followed: while a slot is moved key
# by key, a script would find half of its keys; the slot's jobs wait until the move is over.
ELSEWHERE = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "UNBLOCKED")

Address = tuple[str, int]
Find = Callable[[], Awaitable[Address]]


def is_elsewhere(error: ResponseError) -> bool:
    """Whether this reply says that another server is to be asked."""
    return isinstance(error, ReadOnlyError) or str(error).split(" ", 1)[0] in ELSEWHERE


@dataclass(frozen=True, slots=True)
class Servers:
    """What a URL of several servers says. `form` is `sentinel` or `cluster`; `options` are a connection's."""

    form: str
    addresses: tuple[Address, ...]
    tls: bool
    options: dict[str, Any]
    service: str
    asking: dict[str, Any]

    @classmethod
    def parse(cls, url: str) -> "Servers | None":
        """None for the URL of one server. Raises `ValueError`, which shows no password."""
        scheme, plus, form = url.partition("://")[0].partition("+")
        if not plus:
            return None
        if scheme not in ("valkey", "valkeys", "redis", "rediss") or form not in PORTS:
            raise ValueError(f"is no URL of Sentinels or of a cluster; a right one is {EXAMPLES['sentinel']}")
        parts = urlsplit(url)
        login, _, hosts = parts.netloc.rpartition("@")
        addresses = tuple(_address(host, form) for host in hosts.split(","))
        options = _login(*login.partition(":")[::2])
        words = [unquote(word) for word in parts.path.split("/")[1:] if word]
        query = dict(parse_qsl(parts.query))
        if form == "sentinel":
            database = words[1] if len(words) > 1 else "0"
            if not 1 <= len(words) <= 2 or not database.isdecimal():
                raise ValueError(f"names no service, or no number of a database; a right one is {EXAMPLES[form]}")
            options["db"] = int(database)
        elif words and words != ["0"]:
            raise ValueError(f"names a database, and a cluster has none; a right one is {EXAMPLES[form]}")
        asking = _login(query.pop("sentinel_username", ""), query.pop("sentinel_password", ""))
        if query or (asking and form == "cluster"):
            raise ValueError("takes only sentinel_username and sentinel_password behind «?», and only for Sentinels")
        return cls(
            form, addresses, scheme in ("valkeys", "rediss"), options, words[0] if form == "sentinel" else "", asking
        )


def open_client(url: str, tag: str) -> Any:
    """A client of the server that has the keys under `tag`. Raises `ValueError`."""
    timeouts: dict[str, Any] = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": REPLY_SECONDS}
    servers = Servers.parse(url)
    if servers is None:
        return Valkey.from_url(url, **timeouts)
    brief = {"socket_connect_timeout": ASK_SECONDS, "socket_timeout": ASK_SECONDS}
    find: Find
    if servers.form == "sentinel":
        asker = _Asker(servers.tls, servers.asking | brief)
        find = _Sentinels(servers.addresses, servers.service, asker).find
    else:
        asker = _Asker(servers.tls, servers.options | brief)
        find = _Nodes(servers.addresses, key_slot(tag.encode()), asker).find
    kind = _FoundTls if servers.tls else _Found
    return Valkey.from_pool(ConnectionPool(connection_class=kind, find=find, **servers.options, **timeouts))


class _Found(Connection):
    """A connection that asks where its server is each time it connects."""

    def __init__(self, *, find: Find, **options: Any) -> None:
        super().__init__(**options)
        self._find = find

    async def connect(self) -> None:
        if not self.is_connected:
            self.host, self.port = await self._find()
        await super().connect()  # type: ignore[no-untyped-call]  # the client has no types there


class _FoundTls(_Found, SSLConnection):
    """The same, over TLS."""


@dataclass(frozen=True, slots=True)
class _Asker:
    """Puts one question to several servers at once; gives the answers that came in time."""

    tls: bool
    options: dict[str, Any]

    async def ask(self, addresses: Iterable[Address], *question: str) -> list[tuple[Address, Any]]:
        pairs = [(address, self._one(address, question)) for address in addresses]
        answers = await asyncio.gather(*(answer for _, answer in pairs), return_exceptions=True)
        said = [(address, answer) for (address, _), answer in zip(pairs, answers, strict=True)]
        return [(address, answer) for address, answer in said if not isinstance(answer, BaseException)]

    async def _one(self, address: Address, question: tuple[str, ...]) -> Any:
        kind = SSLConnection if self.tls else Connection
        connection = kind(host=address[0], port=address[1], **self.options)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]  # as above
            await connection.send_command(*question)
            return await connection.read_response()
        finally:
            await connection.disconnect(nowait=True)


@dataclass(frozen=True, slots=True)
class _Sentinels:
    """All Sentinels are asked, and the newest configuration counts: one that was cut off knows the old primary."""

    addresses: tuple[Address, ...]
    service: str
    asker: _Asker

    async def find(self) -> Address:
        answers = await self.asker.ask(self.addresses, "SENTINEL", "MASTER", self.service)
        known = [dict(zip(answer[::2], answer[1::2], strict=True)) for _, answer in answers]
        if not known:
            raise ValkeyConnectionError(f"no Sentinel answers, or none knows the service {self.service}")
        newest = max(known, key=lambda master: int(master[b"config-epoch"]))
        if b"o_down" in newest[b"flags"].split(b","):
            raise ValkeyConnectionError("the primary is down, and the Sentinels have not chosen another yet")
        return newest[b"ip"].decode(), int(newest[b"port"])


class _Nodes:
    """Several nodes are asked who has the slot, and most of them are right: one that was cut off has an old map."""

    def __init__(self, addresses: tuple[Address, ...], slot: int, asker: _Asker) -> None:
        self._seeds, self._known = addresses, set(addresses)
        self._slot = slot
        self._asker = asker

    async def find(self) -> Address:
        some = min(MOST_ASKED, len(self._known))
        asked = random.sample(sorted(self._known), some)  # nosec B311 # no secret: whom to ask
        votes: Counter[Address] = Counter()
        for address, slots in await self._asker.ask(asked, "CLUSTER", "SLOTS"):
            for first, last, *nodes in slots:
                named = [((host or b"").decode() or address[0], port) for host, port, *_ in nodes]
                self._known.update(named)
                if first <= self._slot <= last:
                    votes[named[0]] += 1
        if not votes:
            self._known |= set(self._seeds)
            raise ValkeyConnectionError(f"no node of the cluster answers, or none knows who has slot {self._slot}")
        return votes.most_common(1)[0][0]


def _address(text: str, form: str) -> Address:
    """Raises `ValueError`."""
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    host = (host if colon else text).strip("[]")
    if not host or (colon and not (port.isdecimal() and 0 < int(port) < 65_536)):
        raise ValueError(f"has a server that is no host:port; a right one is {EXAMPLES[form]}")
    return host, int(port) if colon else PORTS[form]


def _login(username: str, password: str) -> dict[str, Any]:
    given = {"username": unquote(username), "password": unquote(password)}
    return {name: value for name, value in given.items() if value}
