"""What the engine needs of its server, and what it finds there."""

from collections.abc import Mapping
from typing import Any

from valkey.exceptions import ValkeyError

from yellowbooks.jobs.link import Link

OLDEST = {"valkey": (7, 2), "redis": (7, 0)}


class Unfit(Exception):
    """The server would lose jobs, or lacks what the scripts need; the message says which setting to change."""


def judge(info: Mapping[str, Any], fsync: str = "always") -> list[str]:
    """What an operator should know of a server that is fit, from its INFO. Raises `Unfit` for one that is not.

    A server that evicts keys forgets jobs, leases and limits without a word. One without AOF loses what was answered
    since its last snapshot; `fsync` (its `appendfsync`) says how much one with AOF loses in a power cut.
    """
    name = "valkey" if info.get("server_name") == "valkey" or "valkey_version" in info else "redis"
    version = str(info.get("valkey_version") or info.get("redis_version") or "0")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdecimal()) < OLDEST[name]:
        raise Unfit(f"{name} {version} is too old; use Valkey 7.2 or Redis 7.0, or newer")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise Unfit(f"the server may evict jobs (maxmemory-policy {policy}); set maxmemory-policy noeviction")
    if not info.get("aof_enabled"):
        return ["the server keeps no AOF, so what it answered may be lost; set appendonly yes and appendfsync always"]
    if fsync == "no":
        return ["a power cut loses what the server answered in the last 30 s; set appendfsync always or everysec"]
    return []


async def measure(link: Link) -> tuple[Mapping[str, Any], str]:
    """A server's INFO and its `appendfsync` («unknown» where it does not say). Raises `QueueUnavailable`."""
    info: Mapping[str, Any] = await link.reach(link.client.info)
    try:
        fsync = str((await link.client.config_get("appendfsync")).get("appendfsync", "unknown"))
    except (ValkeyError, OSError):
        fsync = "unknown"  # a hosted server may not say
    return info, fsync


async def inspect(link: Link) -> list[str]:
    """What an operator should know of the server. Raises `Unfit`, and `QueueUnavailable` where it is away."""
    return judge(*await measure(link))
