"""The servers that the system needs, and the Python under it."""

import asyncio
import ssl
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import aiosmtplib

from yellowbooks.doctor.line import Line
from yellowbooks.joblog import JobLog, LogUnavailable
from yellowbooks.jobs import Queue, QueueUnavailable, Unfit, judge, measure
from yellowbooks.mail import SmtpServer

SECONDS = 10.0
CERTIFICATE_DAYS = 14
FSYNC = {"always": "before each answer", "everysec": "once a second"}
FSYNC_UNKNOWN = "how often cannot be read: see that appendfsync is always or everysec"

# The first release of each series without the known holes; a later series has none of them.
VALKEY_FLOORS: dict[tuple[int, ...], tuple[int, ...]] = {
    (9, 1): (9, 1, 1),
    (9, 0): (9, 0, 5),
    (8, 1): (8, 1, 9),
    (8, 0): (8, 0, 10),
}
REDIS_FLOOR = (7, 0)
# CVE-2024-6923: a header that a mail library decodes can make another one.
PYTHON_FLOORS: dict[tuple[int, ...], tuple[int, ...]] = {(3, 11): (3, 11, 10), (3, 12): (3, 12, 5)}


def examine_python(version: tuple[int, int, int] = sys.version_info[:3]) -> Line:
    """Whether this Python's mail library has the known hole."""
    floor = PYTHON_FLOORS.get(version[:2], version)
    shown = ".".join(map(str, version))
    if version >= floor:
        return Line("ok", "Python", shown)
    return Line("warn", "Python", f"{shown} has CVE-2024-6923; our mails are checked against it before they leave",
                f"take {'.'.join(map(str, floor))} or newer")  # fmt: skip


def examine_valkey(url: str) -> Iterator[Line]:
    """Reachable, new enough, evicts nothing, and writes to disk; of several servers, the one that has our keys."""
    try:
        queue = Queue(url)
    except ValueError as error:
        yield Line("FAIL", "Valkey", f"YB_VALKEY_URL cannot be used: {error}", "correct it")
        return
    try:
        info, fsync = asyncio.run(_measured(queue))
    except QueueUnavailable as error:
        yield Line(
            "FAIL", "Valkey", f"cannot be reached ({error.__cause__ or error})", "start it, or correct YB_VALKEY_URL"
        )
        return
    yield _version(info)
    yield from _fitness(info, fsync)


async def _measured(queue: Queue) -> tuple[Mapping[str, Any], str]:
    try:
        return await measure(queue.link)
    finally:
        await queue.close()


def _fitness(info: Mapping[str, Any], fsync: str) -> Iterator[Line]:
    """What the engine itself says of the server when a role starts."""
    try:
        weak = judge(info, fsync)
    except Unfit as error:
        yield Line("FAIL", "fitness", *_found_and_next(str(error)))
        return
    for warning in weak:
        yield Line("warn", "fitness", *_found_and_next(warning))
    if str(info.get("aof_last_write_status", "ok")) != "ok":
        yield Line("FAIL", "fitness", "the last write to its file failed", "make room on its disk; see its log")
    elif not weak:
        yield Line("ok", "fitness", f"evicts nothing, writes to disk ({FSYNC.get(fsync, FSYNC_UNKNOWN)})")


def _found_and_next(said: str) -> tuple[str, str]:
    found, _, following = said.partition("; ")
    return found, following


def _version(info: Mapping[str, Any]) -> Line:
    name = "Valkey" if "valkey_version" in info else "Redis"
    shown = str(info.get("valkey_version") or info.get("redis_version", "0"))
    version = tuple(int(part) for part in shown.split(".")[:3] if part.isdigit())
    if name == "Redis":
        if version >= REDIS_FLOOR:
            return Line("ok", "Valkey", f"Redis {shown}")
        return Line("FAIL", "Valkey", f"Redis {shown} cannot run our scripts", "take Redis 7.0 or newer, or Valkey")
    floor = VALKEY_FLOORS.get(version[:2])
    if floor is None and version[:2] > max(VALKEY_FLOORS):
        return Line("ok", "Valkey", shown)
    if floor is None:
        return Line("warn", "Valkey", f"{shown} is of a series that gets no repairs", "take 8.1.9, 9.0.5 or 9.1.1")
    if version < floor:
        return Line("FAIL", "Valkey", f"{shown} has known holes", f"take {'.'.join(map(str, floor))} or newer")
    return Line("ok", "Valkey", shown)


def examine_database(url: str) -> Line:
    """Reachable, and of this version's schema."""
    try:
        log = JobLog(url)
    except ValueError as error:
        return Line("FAIL", "database", f"YB_DATABASE_URL cannot be used: {error}", "correct it")
    try:
        migrated = log.migrated()
    except LogUnavailable as error:
        return Line("FAIL", "database", f"cannot be reached ({error})", "start it, or correct YB_DATABASE_URL")
    finally:
        log.close()
    if migrated is None:
        return Line("warn", "database", "has no job log yet", "start `yellowbooks api`, whose recorder makes it")
    if not migrated:
        return Line("FAIL", "database", "its schema is of another version", "start this version's recorder, or upgrade")
    return Line("ok", "database", "reachable, its schema is this version's")


def examine_smtp(server: SmtpServer, helo: str) -> Iterator[Line]:
    """Connect, TLS and login; no mail is sent."""
    yield from asyncio.run(_converse(server, helo))


async def _converse(server: SmtpServer, helo: str) -> list[Line]:
    where = f"{server.host}:{server.port}"
    starttls = {"required": True, "auto": None, "never": False}[server.starttls]
    try:
        client = aiosmtplib.SMTP(
            hostname=server.host, port=server.port, use_tls=server.implicit_tls, local_hostname=helo, timeout=SECONDS,
            start_tls=False if server.implicit_tls else starttls,
            tls_context=ssl.create_default_context(cafile=server.cafile),
        )  # fmt: skip
        await client.connect()
    except (aiosmtplib.SMTPException, OSError) as error:
        return [Line("FAIL", "SMTP", f"{where} cannot be used ({type(error).__name__}: {error})", _advice(error))]
    lines = [_tls(where, client)]
    transport = client.transport
    try:
        if server.username:
            await client.login(server.username, server.password)
            lines.append(Line("ok", "SMTP", f"{where} takes our login"))
        await client.noop()
        await client.quit()
    except (aiosmtplib.SMTPException, OSError) as error:
        client.close()
        lines.append(Line("FAIL", "SMTP", f"{where} refuses us ({error})", "correct user and password in YB_SMTP_URL"))
    finally:
        if isinstance(transport, asyncio.Transport):
            transport.abort()  # the loop ends at once, and would leave a polite end of TLS half done
            await asyncio.sleep(0)
    return lines


def _tls(where: str, client: aiosmtplib.SMTP) -> Line:
    channel = client.get_transport_info("ssl_object")
    pipelining = "pipelining" if client.supports_extension("pipelining") else "no pipelining"
    if channel is None:
        return Line("warn", "SMTP", f"{where} answers without TLS, {pipelining}: whoever is between can read mails",
                    "use smtps:// or ?starttls=required")  # fmt: skip
    certificate = channel.getpeercert() or {}
    days = int((ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / 86_400)
    found = f"{where} answers with {channel.version()}, {pipelining}, its certificate is good for {days} days"
    if days < CERTIFICATE_DAYS:
        return Line("warn", "SMTP", found, "have it renewed, or mails will wait")
    return Line("ok", "SMTP", found)


def _advice(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) or "certificate" in str(error).lower():
        return "its certificate is not trusted: correct the host's name, or name its authority by ?cafile="
    return "start it, open the way to it, or correct YB_SMTP_URL"
