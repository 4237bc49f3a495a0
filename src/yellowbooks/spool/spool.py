"""A folder of files that keeps records until each is done; many processes may share the folder."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from yellowbooks.spool.disk import Disk
from yellowbooks.spool.frame import HEAD_BYTES, LONGEST_RECORD
from yellowbooks.spool.segment import NEW, SUFFIX, Place, Segment

MAX_BYTES = 64 * 1024 * 1024
SEGMENT_BYTES = 1024 * 1024


class SpoolFull(OSError):
    """The folder has as many bytes as it may have; nothing was written."""


class Spool:
    """Keeps records on disk, and gives them out oldest first until they are done.

    `append` returns when the records are fsynced. Each process writes files of its own under a lock; when it dies the
    lock goes, and `adopt` of any other takes over what is left. A record is given out again where its `done` was lost:
    whoever takes records must know one that came before. `ready` is how many `first` would give out one after the
    other; whoever reads it waits for nobody. `max_bytes` bounds all files of the folder together, about;
    a file grows to `segment_bytes`. Threads may share it. A forked child calls `disown` before anything else.
    """

    def __init__(
        self, folder: str | Path, *, max_bytes: int = MAX_BYTES, segment_bytes: int = SEGMENT_BYTES,
        disk: Disk | None = None,
    ) -> None:  # fmt: skip
        self.folder = Path(folder).expanduser().absolute()
        self.max_bytes, self.segment_bytes = max_bytes, segment_bytes
        self._disk = disk or Disk()
        self._damaged = 0
        self._stamp = 0
        self._start_empty()

    def _start_empty(self) -> None:
        self._lock = threading.RLock()
        self._segments: dict[str, Segment] = {}  # in the order of their names, which is that of their making
        self._current: Segment | None = None
        self.ready = 0

    @property
    def waiting(self) -> int:
        """How many records of this process's files are not done."""
        with self._lock:
            return sum(len(one.waiting) + len(one.aside) for one in self._segments.values())

    @property
    def damaged(self) -> int:
        """Bytes that were found damaged, and passed over."""
        with self._lock:
            return self._damaged

    def size(self) -> int:
        """The bytes of all files in the folder, of whatever process."""
        total = 0
        for path in self._names(SUFFIX):
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                continue
        return total

    def leftover(self) -> bool:
        """Whether there is a file in the folder that this process does not hold."""
        with self._lock:
            return any(path.name not in self._segments for path in self._names(SUFFIX))

    def append(self, records: Sequence[bytes]) -> list[Place]:
        """Keep records; when it returns they are on disk. In their order, after all that came before.

        Raises `ValueError` where a record is over 1 MiB, `SpoolFull`, and `OSError` where the disk fails: then none is
        promised, and they may be appended again.
        """
        if any(len(record) > LONGEST_RECORD for record in records):
            raise ValueError(f"a record has at most {LONGEST_RECORD} bytes")
        with self._lock:
            if self.size() + sum(HEAD_BYTES + len(record) for record in records) > self.max_bytes:
                raise SpoolFull(f"{self.folder} holds its {self.max_bytes} bytes")
            segment = self._writable()
            try:
                offsets = segment.append(records)
            except OSError:
                self._current = None  # what is in that file's tail is unknown: it gets no more
                if segment.empty:
                    self._drop(segment)
                raise
            self.ready += len(offsets)
            return [Place(segment.name, offset) for offset in offsets]

    def first(self) -> tuple[Place, bytes] | None:
        """The oldest record that waits; it stays until it is done. Raises `OSError`."""
        with self._lock:
            for segment in list(self._segments.values()):
                for offset in list(segment.waiting):
                    record = segment.read(offset)
                    if record is not None:
                        return Place(segment.name, offset), record
                    self._damaged += segment.waiting[offset]
                    self.done(Place(segment.name, offset))
            return None

    def read(self, place: Place) -> bytes | None:
        """The record there; None where it is done or damaged. Raises `OSError`."""
        with self._lock:
            segment = self._segments.get(place.file)
            known = segment and (place.offset in segment.waiting or place.offset in segment.aside)
            return segment.read(place.offset) if segment and known else None

    def done(self, place: Place) -> None:
        """Strike a record off; the file goes with its last one. Raises `OSError`: then it may come again."""
        with self._lock:
            segment = self._segments.get(place.file)
            if segment is None:
                return
            self.ready -= place.offset in segment.waiting
            try:
                segment.done(place.offset)
            finally:
                if segment.empty:
                    self._drop(segment)

    def set_aside(self, place: Place) -> None:
        """Let the others go before; `done` ends it, or the next process finds it waiting again."""
        with self._lock:
            segment = self._segments.get(place.file)
            if segment and place.offset in segment.waiting:
                segment.aside[place.offset] = segment.waiting.pop(place.offset)
                self.ready -= 1

    def adopt(self) -> int:
        """Take over what dead processes left: how many records. Raises `OSError`."""
        with self._lock:
            for path in self._names(NEW):
                Segment.clear(self._disk, path)
            count = 0
            for path in self._names(SUFFIX):
                if path.name in self._segments:
                    continue
                segment = Segment.take(self._disk, path)
                if segment is None:
                    continue
                self._damaged += segment.damaged
                if segment.empty:
                    segment.remove()
                    continue
                count += len(segment.waiting)
                self.ready += len(segment.waiting)
                self._segments[segment.name] = segment
            self._segments = dict(sorted(self._segments.items()))
            return count

    def close(self) -> None:
        """Let go of every file; what waits in them is for the next process, or for `adopt` of this one."""
        with self._lock:
            for segment in self._segments.values():
                segment.close()
            self._segments.clear()
            self._current = None
            self.ready = 0

    def disown(self) -> None:
        """In a forked child: forget the parent's files, which stay the parent's."""
        held = list(self._segments.values())
        self._start_empty()  # its lock too: a thread that is not in this process may hold it
        for segment in held:
            segment.close()

    def _writable(self) -> Segment:
        current = self._current
        if current and current.open and current.end < self.segment_bytes:
            return current
        self._disk.make_folder(self.folder)
        self._stamp = max(self._stamp + 1, time.time_ns())  # a clock that goes back must not change the order
        self._current = Segment.create(self._disk, self.folder, self._stamp)
        self._segments[self._current.name] = self._current
        return self._current

    def _drop(self, segment: Segment) -> None:
        self._segments.pop(segment.name, None)
        if self._current is segment:
            self._current = None
        if segment.open:
            segment.remove()

    def _names(self, suffix: str) -> list[Path]:
        return sorted(self.folder.glob("*" + suffix)) if self.folder.is_dir() else []
