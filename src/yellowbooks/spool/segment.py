"""One file of a spool: one process writes it, and another takes it over when that process is dead."""

import contextlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from yellowbooks.spool.disk import Disk
from yellowbooks.spool.frame import (
    FAMILY,
    HEAD_BYTES,
    HEADER,
    LONGEST_RECORD,
    RECORD,
    decode,
    encode,
    encode_done,
    scan,
    waiting,
)

SUFFIX, NEW = ".spool", ".new"
_TRIES = 5


class Place(NamedTuple):
    """Where a record stands: its file's name and its offset there."""

    file: str
    offset: int


class Segment:
    """A file that this process holds.

    `waiting` has the records to be given out, `aside` those that were set aside: offset to length.
    """

    def __init__(self, disk: Disk, path: Path, fd: int) -> None:
        self.path, self.name = path, path.name
        self.end = len(HEADER)
        self.damaged = 0
        self.waiting: dict[int, int] = {}
        self.aside: dict[int, int] = {}
        self._disk = disk
        self._fd = fd

    @classmethod
    def create(cls, disk: Disk, folder: Path, stamp: int) -> Self:
        """A new file, its name on disk; files are read in the order of their stamps (ns). Raises `OSError`.

        Until its lock is held it has a name that nobody adopts.
        """
        for _ in range(_TRIES):
            name = f"{stamp:020d}-{os.getpid()}-{secrets.token_hex(4)}"
            made = folder / (name + NEW)
            fd = disk.create(made)
            try:
                if not disk.lock(fd):  # one who clears up was quicker
                    disk.close(fd)
                    continue
                disk.write(fd, HEADER, 0)
                disk.sync(fd)
                disk.rename(made, folder / (name + SUFFIX))
                disk.sync_folder(folder)
            except FileNotFoundError:
                disk.close(fd)
                continue
            except OSError:
                for path in (made, folder / (name + SUFFIX)):
                    with contextlib.suppress(OSError):
                        disk.unlink(path)
                disk.close(fd)
                raise
            return cls(disk, folder / (name + SUFFIX), fd)
        raise OSError(f"no file could be made in {folder}; look whether something removes files there")

    @classmethod
    def take(cls, disk: Disk, path: Path) -> Self | None:
        """A file whose writer is dead, read, its torn tail cut; None where it is another's. Raises `OSError`."""
        try:
            fd = disk.open(path)
        except FileNotFoundError:
            return None
        try:
            if not disk.lock(fd) or os.fstat(fd).st_nlink == 0:  # it may have gone before the lock was ours
                disk.close(fd)
                return None
            data = disk.read(fd, os.fstat(fd).st_size, 0)
            if data.startswith(FAMILY) and not data.startswith(HEADER):  # another release's: it is not ours to judge
                disk.close(fd)
                return None
            segment = cls(disk, path, fd)
            segment._read(data)
        except OSError:
            disk.close(fd)
            raise
        return segment

    @staticmethod
    def clear(disk: Disk, path: Path) -> None:
        """Remove a file whose writer died before it had made it. Raises `OSError`."""
        with contextlib.suppress(FileNotFoundError):
            fd = disk.open(path)
            try:
                if disk.lock(fd) and os.fstat(fd).st_nlink:
                    disk.unlink(path)
            finally:
                disk.close(fd)

    def _read(self, data: bytes) -> None:
        found = scan(data)
        self.end, self.damaged = found.end, found.damaged
        self.waiting = {frame.offset: len(frame.data) for frame in waiting(found.frames)}
        if found.end < len(data):
            self._disk.cut(self._fd, found.end)

    def append(self, records: Sequence[bytes]) -> list[int]:
        """Write the records and return when they are on disk: their offsets.

        Raises `OSError`, and then nobody knows what of them is on disk: nothing may be appended any more.
        """
        parts, offsets, end = [], [], self.end
        for record in records:
            part = encode(RECORD, record, end)
            offsets.append(end)
            parts.append(part)
            end += len(part)
        try:
            self._disk.write(self._fd, b"".join(parts), self.end)
            self._disk.sync(self._fd)
        except OSError:
            with contextlib.suppress(OSError):
                self._disk.cut(self._fd, self.end)
            raise
        self.end = end
        self.waiting.update(zip(offsets, map(len, records), strict=True))
        return offsets

    def read(self, offset: int) -> bytes | None:
        """The record at `offset`; None where it is damaged. Raises `OSError`."""
        length = self.waiting.get(offset, self.aside.get(offset, LONGEST_RECORD))
        frame = decode(self._disk.read(self._fd, HEAD_BYTES + length, offset), 0, offset)
        return frame.data if frame else None

    def done(self, offset: int) -> None:
        """Strike a record off. It is not fsynced: lost in a power cut, the record is given out again.

        The file goes with its last record. Raises `OSError`, and then the record may be given out again, too.
        """
        known = self.waiting.pop(offset, None) is not None or self.aside.pop(offset, None) is not None
        if not known:
            return
        if self.empty:
            self.remove()
            return
        part = encode_done(offset, self.end)
        self._disk.write(self._fd, part, self.end)
        self.end += len(part)

    @property
    def empty(self) -> bool:
        """Whether no record waits here."""
        return not self.waiting and not self.aside

    @property
    def open(self) -> bool:
        """Whether this process holds the file."""
        return self._fd >= 0

    def remove(self) -> None:
        """Remove the file and let go of it. Raises `OSError`."""
        with contextlib.suppress(FileNotFoundError):
            self._disk.unlink(self.path)
        self.close()

    def close(self) -> None:
        """Let go of the file; what waits in it is the next one's who looks."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._disk.close(fd)
