"""The spool among processes: order, bounds, who takes over what, and what a fork must not do."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from yellowbooks.spool import Disk, Place, Spool, SpoolFull
from yellowbooks.spool.segment import Segment


def drained(spool: Spool) -> list[bytes]:
    """Every record, in order, each struck off."""
    records = []
    while (found := spool.first()) is not None:
        records.append(found[1])
        spool.done(found[0])
    return records


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_in_order_and_gone_when_done(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "deep/er", segment_bytes=200)
    wanted = [f"record {number}".encode() for number in range(40)]
    for record in wanted:
        spool.append([record])
    assert len(files(spool.folder)) > 3
    assert spool.waiting == 40
    assert drained(spool) == wanted
    assert files(spool.folder) == []
    assert spool.first() is None


def test_only_this_user_may_read_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([b"bat@example.com"])
    [path] = spool.folder.iterdir()
    assert (spool.folder.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)


def test_set_aside_lets_the_others_go_before(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    first, _, _ = spool.append([b"a", b"b", b"c"])
    spool.set_aside(first)
    assert drained(spool) == [b"b", b"c"]
    assert spool.waiting == 1
    assert spool.read(first) == b"a"
    spool.close()
    again = Spool(tmp_path)
    assert again.adopt() == 1
    assert drained(again) == [b"a"]
    assert again.read(first) is None


def test_it_is_bounded_over_all_processes(tmp_path: Path) -> None:
    one, other = (Spool(tmp_path, max_bytes=1000) for _ in range(2))
    one.append([bytes(400)])
    other.append([bytes(400)])
    for spool in (one, other):
        with pytest.raises(SpoolFull, match="holds its 1000 bytes"):
            spool.append([bytes(400)])
    assert len(drained(one)) == 1
    other.append([bytes(400)])
    with pytest.raises(ValueError, match="at most"):
        one.append([bytes(2_000_000)])


def test_a_living_process_keeps_its_files(tmp_path: Path) -> None:
    mine, other = Spool(tmp_path), Spool(tmp_path)
    mine.append([b"mine"])
    assert other.leftover()
    assert other.adopt() == 0
    mine.close()
    assert other.adopt() == 1
    assert not other.leftover()
    assert mine.adopt() == 0
    assert drained(other) == [b"mine"]


def test_what_a_dead_process_left_is_taken_by_one_alone(tmp_path: Path) -> None:
    code = (
        "import sys, os, signal; from yellowbooks.spool import Spool; spool = Spool(sys.argv[1], segment_bytes=100)\n"
        "for number in range(20): spool.append([b'%d' % number])\n"
        "spool.done(spool.first()[0])\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path], check=False).returncode == -signal.SIGKILL
    spools = [Spool(tmp_path) for _ in range(6)]
    counts = []
    threads = [threading.Thread(target=lambda one=one: counts.append(one.adopt())) for one in spools]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 19
    records = sorted(int(record) for spool in spools for record in drained(spool))
    assert records == list(range(1, 20))
    assert files(tmp_path) == []


def test_order_is_kept_over_files_and_a_clock_that_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, segment_bytes=1)
    clock = iter(range(10**18, 0, -(10**17)))
    monkeypatch.setattr(time, "time_ns", lambda: next(clock))
    for number in range(8):
        spool.append([b"%d" % number])
    spool.close()
    again = Spool(tmp_path)
    again.adopt()
    assert drained(again) == [b"%d" % number for number in range(8)]


def test_a_forked_child_leaves_the_parents_files_alone(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b"parent"])
    child = os.fork()
    if child == 0:
        spool.disown()
        ok = spool.waiting == 0 and spool.adopt() == 0 and bool(spool.append([b"child"]))
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    other = Spool(tmp_path)
    assert other.adopt() == 1  # the child's; the parent still holds its own
    assert drained(other) == [b"child"]
    assert drained(spool) == [b"parent"]


def test_a_damaged_record_is_passed_over_and_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    places = spool.append([b"first", b"second", b"third"])
    [path] = tmp_path.iterdir()
    with path.open("r+b") as file:
        file.seek(places[1].offset + 15)
        file.write(b"XX")
    assert drained(spool) == [b"first", b"third"]
    assert spool.damaged > 0
    assert files(tmp_path) == []


def test_damage_found_at_the_take_over_costs_one_record(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    places = spool.append([b"first", b"second", b"third"])
    spool.close()
    [path] = tmp_path.iterdir()
    with path.open("r+b") as file:
        file.seek(places[0].offset)
        file.write(b"XXXX")
    again = Spool(tmp_path)
    assert again.adopt() == 2
    assert again.damaged == places[1].offset - places[0].offset
    assert drained(again) == [b"second", b"third"]


def test_a_file_of_another_release_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "00000000000000000001-1-aa.spool"
    path.write_bytes(b"YBspool2 something newer")
    assert Spool(tmp_path).adopt() == 0
    assert path.read_bytes() == b"YBspool2 something newer"


def test_what_was_never_made_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "00000000000000000001-1-aa.new").write_bytes(b"YB")
    (tmp_path / "00000000000000000002-1-aa.spool").write_bytes(b"")
    spool = Spool(tmp_path)
    assert spool.adopt() == 0
    assert files(tmp_path) == []


def test_a_file_that_goes_while_it_is_taken_is_nobodys(tmp_path: Path) -> None:
    owner = Spool(tmp_path)
    owner.append([b"x"])

    class Slow(Disk):
        def open(self, path: Path) -> int:
            fd = super().open(path)
            drained(owner)  # its owner ends it between our open and our lock
            return fd

    assert Segment.take(Slow(), next(tmp_path.iterdir())) is None
    assert Spool(tmp_path).read(Place("x", 8)) is None


def test_a_file_whose_fsync_failed_gets_no_more(tmp_path: Path) -> None:
    """After a failed fsync a second one may say yes to pages that the kernel has dropped."""

    class Failing(Disk):
        broken = False

        def sync(self, fd: int) -> None:
            if self.broken:
                raise OSError("the disk is broken")
            super().sync(fd)

    disk = Failing()
    spool = Spool(tmp_path, disk=disk)
    [first] = spool.append([b"a"])
    disk.broken = True
    with pytest.raises(OSError, match="broken"):
        spool.append([b"b"])
    disk.broken = False
    [second] = spool.append([b"b"])
    assert first.file != second.file
    assert drained(spool) == [b"a", b"b"]


def test_threads_share_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=2000)
    taken: list[bytes] = []
    done = threading.Event()

    def take() -> None:
        while not (done.is_set() and spool.waiting == 0):
            if found := spool.first():
                taken.append(found[1])
                spool.done(found[0])

    def put(base: int) -> None:
        for number in range(100):
            spool.append([f"{base}-{number}".encode()])

    taker = threading.Thread(target=take)
    putters = [threading.Thread(target=put, args=(base,)) for base in range(4)]
    for thread in (taker, *putters):
        thread.start()
    for thread in putters:
        thread.join()
    done.set()
    taker.join(20)
    assert len(taken) == len(set(taken)) == 400
    for base in range(4):
        mine = [int(record.split(b"-")[1]) for record in taken if record.startswith(b"%d-" % base)]
        assert mine == sorted(mine)
