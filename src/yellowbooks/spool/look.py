"""What lies in the files of a spool's folder, whoever holds them; and files written anew without some of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

from yellowbooks.spool.frame import FAMILY, HEADER, RECORD, scan
from yellowbooks.spool.segment import SUFFIX
from yellowbooks.spool.spool import Spool


def lying(folder: Path) -> Iterator[tuple[Path, bytes | None]]:
    """Every record whose bytes are on disk, also one that was struck off and lies there until its file goes; None for a
    file of another release. Takes no lock. Raises `OSError`."""
    for path in sorted(folder.glob("*" + SUFFIX)) if folder.is_dir() else ():
        try:
            data = path.read_bytes()
        except FileNotFoundError:  # its last record was struck off meanwhile
            continue
        if data.startswith(FAMILY) and not data.startswith(HEADER):
            yield path, None
            continue
        for frame in scan(data).frames:
            if frame.kind == RECORD:
                yield path, frame.data


def rewrite(folder: Path, keep: Callable[[bytes], bool]) -> None:
    """Write the files that no living process holds anew, in their order, with the records that are to be kept.

    Raises `OSError`: then what was there before is still there.
    """
    spool = Spool(folder, max_bytes=1 << 62)  # for a moment the kept ones are there twice
    try:
        spool.adopt()
        places, kept = [], []
        while found := spool.first():
            place, record = found
            spool.set_aside(place)
            places.append(place)
            if keep(record):
                kept.append(record)
        if kept:
            spool.append(kept)
        for place in places:
            spool.done(place)
    finally:
        spool.close()
