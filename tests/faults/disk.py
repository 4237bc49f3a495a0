"""Faults of the server's disk and settings: power cuts, torn and spoilt files, bounds; and settings that must lose.

A SIGKILL loses nothing that was written: the page cache outlives the process. A power cut is simulated: the server's
folder is an ext4 file system in a file; the server is stopped, the file is copied (what had reached the «disk»), and
the copy is mounted in its place. That needs root and loop devices.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.campaign import row
from tests.faults.rig import Rig
from tests.faults.worker import Work, kind_of
from tests.parts import eventually
from yellowbooks.joblog import JobLog, Recorder
from yellowbooks.jobs import Queue, State
from yellowbooks.jobs.outcome import Dead

DISK_MB = 48


def can_cut_power() -> str | None:
    """Why a power cut cannot be simulated here, or None."""
    if os.geteuid() != 0:
        return "a power cut needs root, to mount a file system in a file"
    if not shutil.which("mkfs.ext4") or not Path("/dev/loop-control").exists():
        return "a power cut needs mkfs.ext4 and loop devices"
    return None


class Disk:
    """A file system in a file, under the data of the rig's Valkey."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._place = rig.valkey.folder / "valkey"
        self._image = rig.folder / "disk"

    def mount(self) -> None:
        """Put an empty disk under the server, which starts anew."""
        with self._image.open("wb") as file:
            file.truncate(DISK_MB << 20)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        _run("mount", "-o", "loop", str(self._image), str(self._place))

    def cut(self) -> None:
        """The power goes: what the server had not fsynced is gone, and so is the server."""
        process = self._rig.valkey.process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        left = self._image.with_name(f"disk-{time.monotonic_ns()}")
        shutil.copyfile(self._image, left)
        self._rig.valkey.kill()
        self.unmount()
        self._image.unlink()
        self._image = left
        _run("mount", "-o", "loop", str(self._image), str(self._place))
        self._rig.tally.fired += 1

    def unmount(self) -> None:
        """Take the disk away."""
        subprocess.run(["umount", str(self._place)], check=False, capture_output=True)


@contextmanager
def disk(rig: Rig, *options: str) -> Iterator[Disk]:
    """The rig's server on a disk of its own, with further options."""
    if why := can_cut_power():
        raise Skipped(why)
    rig.valkey.stop()
    found = Disk(rig)
    found.mount()
    try:
        rig.valkey.start(*options)
        yield found
        rig.at_end.append(found.unmount)
    except BaseException:
        rig.valkey.stop()
        found.unmount()
        raise


class Skipped(Exception):
    """This machine cannot make this fault."""


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@row("7 the power goes, AOF always")
async def power_cut(rig: Rig) -> None:
    """What was acked is there."""
    with disk(rig) as power:
        rig.work(2)
        asking = asyncio.create_task(rig.ask(rig.size, before=0.01))
        for _ in range(3):
            await asyncio.sleep(0.4)
            await asyncio.to_thread(power.cut)
            rig.valkey.start()
        await asking


@row("8 the end of the AOF is torn")
async def torn(rig: Rig) -> None:
    """A write that was under way when the power went is cut off; all before it is there."""
    await rig.ask(rig.size)
    rig.valkey.kill()
    newest = _aof(rig)
    with newest.open("ab") as file:
        file.write(b"*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$30\r\nhalf a k")
    rig.tally.fired += 1
    rig.valkey.start()
    rig.work(2)


@row("8 the middle of the AOF is spoilt")
async def spoilt(rig: Rig) -> None:
    """The server refuses to start rather than to go on with less; with the file mended all is there."""
    await rig.ask(rig.size)
    rig.valkey.kill()
    file = _aof(rig)
    whole = file.read_bytes()
    command = whole.index(b"\r\n*", len(whole) // 2) + 2
    file.write_bytes(whole[:command] + b"?" + whole[command + 1 :])
    rig.valkey.start()
    assert rig.valkey.process is not None
    assert await asyncio.to_thread(rig.valkey.process.wait, 10) != 0
    rig.tally.fired += 1
    file.write_bytes(whole)
    rig.valkey.start()
    rig.work(2)


@row("35 dead jobs at their bound, and the log away")
async def bound(rig: Rig) -> None:
    """The oldest leave only when their row is in the log."""
    kind = kind_of(rig.journal)
    strict = Queue(rig.valkey.url, retention=0, dead_retention=0)
    ids = [f"dead{number}" for number in range(rig.size)]
    for job_id in ids:
        await strict.admit(kind, Work(job_id=job_id))
        [lease], _ = await strict.claim([kind], 1)
        await strict.settle(lease, Dead("boom"))
    away, here = rig.folder / "database-away", rig.folder / "database"
    log, stop = JobLog(f"sqlite:///{away}/log.sqlite3"), asyncio.Event()
    told: list[str] = []
    recorder = Recorder(strict, log, on_trouble=told.append, on_recovered=lambda: told.append("back"))
    recording = asyncio.create_task(recorder.run(stop))
    await eventually(lambda: told)
    await asyncio.sleep(1)
    assert (await strict.dead(1))[2] == rig.size  # long past their time, and all there
    rig.tally.fired += 1
    here.mkdir()
    here.rename(away)

    async def gone() -> bool:
        return (await strict.dead(1))[2] == 0

    await eventually(gone, 30)
    found = [log.find(job_id) for job_id in ids]
    assert [job.state for job in found if job] == [State.DEAD] * rig.size
    stop.set()
    await recording
    log.close()
    await strict.close()


def _aof(rig: Rig) -> Path:
    return max((rig.valkey.folder / "valkey/appendonlydir").glob("*.incr.aof"))


# Settings that must lose: if they did not, that nothing was lost above would say nothing.


@row("unsafe: the power goes, AOF everysec", loses=True)
async def everysec(rig: Rig) -> None:
    """Up to a second of what was acked."""
    with disk(rig, "--appendfsync", "everysec") as power:
        await asyncio.sleep(1.5)
        await rig.ask(rig.size)
        await asyncio.to_thread(power.cut)
        rig.valkey.start("--appendfsync", "everysec")


@row("unsafe: Valkey is killed, no AOF", loses=True)
async def no_aof(rig: Rig) -> None:
    """All of it."""
    rig.valkey.stop()
    shutil.rmtree(rig.valkey.folder / "valkey")
    (rig.valkey.folder / "valkey").mkdir()
    rig.valkey.start("--appendonly", "no")
    await rig.ask(rig.size)
    rig.valkey.kill()
    rig.tally.fired += 1
    rig.valkey.start("--appendonly", "no")


@row("unsafe: a server that evicts", loses=True)
async def evicting(rig: Rig) -> None:
    """Whatever it likes, without a word. A worker or an API of ours does not start on it."""
    client = rig.queue.link.client
    await rig.ask(rig.size)
    await client.config_set("maxmemory-policy", "allkeys-random")
    await client.config_set("maxmemory", (await client.info("memory"))["used_memory"] + 1_000_000)
    for number in range(400):
        await client.set(f"somebody-elses:{number}", bytes(10_000))
    rig.tally.fired += 1
    await client.config_set("maxmemory", "0")
    await client.config_set("maxmemory-policy", "noeviction")
