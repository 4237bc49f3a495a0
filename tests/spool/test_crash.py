"""Killed, without power or refused at every single call to the file system: no record that was promised is lost."""

import errno
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.spool.test_spool import drained, files
from yellowbooks.spool import Disk, Spool

CALLS = ("make_folder", "create", "open", "lock", "write", "sync", "cut", "rename", "unlink", "sync_folder", "close")


class Trapped(Disk):
    """A disk that does something of the test's before, in the middle of, or after its n-th call."""

    def __init__(self, at: int, when: str, act: Callable[["Trapped"], None]) -> None:
        self.at, self.when, self.act = at, when, act
        self.calls: list[str] = []
        self.synced: dict[int, int] = {}
        self.written: dict[int, int] = {}
        self.renamed: tuple[Path, Path] | None = None

    def __getattribute__(self, name: str):
        real = super().__getattribute__(name)
        if name not in CALLS:
            return real

        def call(*arguments):
            self.calls.append(name)
            mine = len(self.calls) - 1 == self.at
            if mine and self.when == "before":
                self.act(self)
            if mine and self.when == "amid" and name == "write":
                fd, data, offset = arguments
                real(fd, data[: len(data) // 2], offset)
                self.written[fd] = offset + len(data) // 2
                self.act(self)
            result = real(*arguments)
            if name == "open":  # what another process wrote, and was there before
                self.synced[result] = self.written[result] = os.fstat(result).st_size
            self._note(name, arguments)
            if mine and self.when == "after":
                self.act(self)
            return result

        return call

    def _note(self, name: str, arguments: tuple) -> None:
        if name == "write":
            fd, data, offset = arguments
            self.written[fd] = max(self.written.get(fd, 0), offset + len(data))
        elif name == "cut":
            self.written[arguments[0]] = self.synced[arguments[0]] = arguments[1]
        elif name == "sync":
            self.synced[arguments[0]] = self.written.get(arguments[0], 0)
        elif name == "rename":
            self.renamed = arguments
        elif name == "sync_folder":
            self.renamed = None
        elif name == "close":
            self.written.pop(arguments[0], None)
            self.synced.pop(arguments[0], None)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: these tests only count calls, and a real fsync takes its time."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    made = Path(tempfile.mkdtemp(prefix="yb", dir="/dev/shm"))
    yield made
    shutil.rmtree(made)


def kill(_disk: Trapped) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def cut_power(fill: bytes | None) -> Callable[[Trapped], None]:
    """What was not fsynced is gone, or is zeros or junk of the right length; a name that was not fsynced is the old one."""

    def act(disk: Trapped) -> None:
        for fd, end in disk.written.items():
            safe = disk.synced.get(fd, 0)
            if safe < end:
                os.ftruncate(fd, safe)
                if fill:
                    os.pwrite(fd, (fill * (end - safe))[: end - safe], safe)
        if disk.renamed and disk.renamed[1].exists():
            disk.renamed[1].rename(disk.renamed[0])
        kill(disk)

    return act


def prepare(folder: Path) -> None:
    """What a process that died before has left: two records, and a third one torn."""
    before = Spool(folder)
    before.append([b"left-0", b"left-1"])
    before.close()
    [path] = folder.glob("*.spool")
    with path.open("ab") as file:
        file.write(b"\xf5\x9dYB torn")
    (folder / "0-1-aa.new").write_bytes(b"YBsp")


def live(folder: Path, disk: Disk, say: Callable[[str, bytes], None]) -> None:
    """A life of a spool that comes by every call; it says what it was promised."""
    spool = Spool(folder, segment_bytes=120, disk=disk)

    def append(*records: bytes) -> None:
        for record in records:
            say("try", record)
        while True:
            try:
                spool.append(records)
                break
            except OSError:
                continue
        for record in records:
            say("kept", record)

    def done() -> None:
        try:
            found = spool.first()
            assert found
            say("doing", found[1])
            spool.done(found[0])
        except OSError:
            return
        say("done", found[1])

    append(b"a-0", b"a-1")
    try:
        spool.adopt()
    except OSError:
        spool.adopt()
    done()  # left-0
    append(b"a-2")
    append(b"long " * 20)
    append(b"a-3")  # in a new file
    done()
    done()
    done()  # the first file of ours goes or is near to
    append(b"a-4")
    spool.close()


def lived(folder: Path, disk: Trapped) -> tuple[list[tuple[str, bytes]], int]:
    """Live in a forked child; what it said, and how it ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            live(folder, disk, lambda word, record: os.write(writer, word.encode() + b" " + record + b"\n") and None)
            os._exit(0)
        except BaseException:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = [(word.decode(), record) for word, record in (line[:-1].split(b" ", 1) for line in pipe)]
    return said, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def check(folder: Path, said: list[tuple[str, bytes]], *, struck_off_stays: bool) -> None:
    def of(word: str) -> list[bytes]:
        return [record for known, record in said if known == word]

    spool = Spool(folder)
    spool.adopt()
    records = drained(spool)
    kept = [b"left-0", b"left-1", *of("kept")]
    wanted = [record for record in kept if record not in of("doing")]
    assert [record for record in wanted if record not in records] == [], "lost"
    assert set(records) <= {b"left-0", b"left-1", *of("try")}, "made up"
    if struck_off_stays:
        assert not set(records) & set(of("done")), "came again"
    for one in (b"left-", b"a-"):
        mine = [record for record in dict.fromkeys(records) if record.startswith(one)]
        assert mine == sorted(mine), "out of order"
    assert files(folder) == []


def points(folder: Path) -> list[str]:
    """The calls of one life, in order."""
    disk, said = Trapped(-1, "never", kill), []
    (folder / "count").mkdir()
    prepare(folder / "count")
    live(folder / "count", disk, lambda word, record: said.append((word, record)))
    check(folder / "count", said, struck_off_stays=True)
    return disk.calls


@pytest.mark.parametrize("when", ["before", "amid", "after"])
@pytest.mark.parametrize(
    ("name", "act"),
    [("killed", kill), ("no power", cut_power(None)), ("zeros", cut_power(b"\0")), ("junk", cut_power(b"\xf5\x9dYB!"))],
)
def test_an_end_at_every_call(folder: Path, name: str, act: Callable[[Trapped], None], when: str) -> None:
    calls = points(folder)
    assert set(calls) == set(CALLS), "a call that this life does not come by"
    ends = 0
    for at, call in enumerate(calls):
        if when == "amid" and call != "write":
            continue
        one = folder / f"{at}"
        one.mkdir()
        prepare(one)
        said, status = lived(one, Trapped(at, when, act))
        assert status == -signal.SIGKILL, (at, call)
        ends += 1
        check(one, said, struck_off_stays=act is kill)
    assert ends == (calls.count("write") if when == "amid" else len(calls))


@pytest.mark.parametrize("when", ["before", "amid", "after"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_refusal_at_every_call(folder: Path, number: int, when: str) -> None:
    def refuse(_disk: Trapped) -> None:
        raise OSError(number, os.strerror(number))

    for at, call in enumerate(points(folder)):
        if call == "close" or (when == "amid" and call != "write"):  # a close that fails leaves nothing to do
            continue
        one, said = folder / f"{at}", []
        one.mkdir()
        prepare(one)
        live(one, Trapped(at, when, refuse), lambda word, record, said=said: said.append((word, record)))
        check(one, said, struck_off_stays=False)
