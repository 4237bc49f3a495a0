"""A package of Debian's unpacked into a folder; nothing is installed, and no root is needed where its lists are there."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

FETCH_SECONDS = 90


def unpack(package: str, place: Path) -> bool:
    """Whether the package is under `place` now: False where this is not Debian or it cannot be had."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        if not _run(folder, "apt-get", "download", package) and os.geteuid() == 0:
            _run(folder, "apt-get", "update")
            _run(folder, "apt-get", "download", package)
        found = list(Path(folder).glob(f"{package}_*.deb"))
        return bool(found) and _run(folder, "dpkg", "-x", str(found[0]), str(place))


def _run(folder: str, *words: str) -> bool:
    try:
        return (
            subprocess.run(words, cwd=folder, capture_output=True, timeout=FETCH_SECONDS, check=False).returncode == 0
        )
    except subprocess.TimeoutExpired:
        return False
