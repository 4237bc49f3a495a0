"""A disk that kills its process at a call."""

import os
import signal

from yellowbooks.spool import Disk

CALLS = ("make_folder", "create", "open", "lock", "write", "sync", "cut", "rename", "unlink", "sync_folder", "close")


def deadly(at: int) -> Disk:
    """The real disk, until its n-th call."""

    class Deadly(Disk):
        calls = 0

        def __getattribute__(self, name: str):
            if name in CALLS:
                if Deadly.calls == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                Deadly.calls += 1
            return super().__getattribute__(name)

    return Deadly()
