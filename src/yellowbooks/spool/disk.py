"""What the spool asks of the file system, a method a call, so that a test can fail or kill at each of them."""

import fcntl
import os
from pathlib import Path

_FLAGS = os.O_RDWR | os.O_CLOEXEC


class Disk:
    """The real file system. Every method raises `OSError` where it fails."""

    def make_folder(self, folder: Path) -> None:
        """The folder, for this user alone, and its own entry on disk."""
        if folder.is_dir():
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.sync_folder(folder.parent)

    def create(self, path: Path) -> int:
        """A new file, for this user alone."""
        return os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)

    def open(self, path: Path) -> int:
        """A file that is there."""
        return os.open(path, _FLAGS)

    def lock(self, fd: int) -> bool:
        """Take the file for this process; False where another has it. It ends with the process, however that ends."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def write(self, fd: int, data: bytes, offset: int) -> None:
        """All of the data at `offset`."""
        view = memoryview(data)
        while view:
            written = os.pwrite(fd, view, offset)
            view, offset = view[written:], offset + written

    def read(self, fd: int, size: int, offset: int) -> bytes:
        """At most `size` bytes from `offset`."""
        return os.pread(fd, size, offset)

    def sync(self, fd: int) -> None:
        """Return when the file's data is on disk."""
        os.fsync(fd)

    def cut(self, fd: int, size: int) -> None:
        """End the file at `size`."""
        os.ftruncate(fd, size)

    def rename(self, path: Path, to: Path) -> None:
        """Another name, in one step."""
        path.rename(to)

    def unlink(self, path: Path) -> None:
        """Remove the name."""
        path.unlink()

    def sync_folder(self, folder: Path) -> None:
        """Return when the folder's names are on disk."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def close(self, fd: int) -> None:
        """Let go of the file, and of its lock where no forked process has the file too."""
        os.close(fd)
