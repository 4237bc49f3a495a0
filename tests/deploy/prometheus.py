"""Prometheus and promtool: the machine's own, or Debian's package unpacked once into .venv; nothing is installed."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

PLACE = Path(sys.prefix) / "prometheus"
FETCH_SECONDS = 90


def find(name: str) -> str:
    """The path of `prometheus` or `promtool`; skips the test where neither the machine nor Debian has it."""
    found = shutil.which(name)
    if found:
        return found
    PLACE.mkdir(exist_ok=True)
    with (PLACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = PLACE / "usr/bin" / name
        if not path.exists() and not _unpack():
            pytest.skip(f"no {name} here, and Debian's package of it cannot be had; apt-get install prometheus")
    return str(path)


def _unpack() -> bool:
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        if not _run(folder, "apt-get", "download", "prometheus") and os.geteuid() == 0:
            _run(folder, "apt-get", "update")
            _run(folder, "apt-get", "download", "prometheus")
        packages = list(Path(folder).glob("prometheus_*.deb"))
        return bool(packages) and _run(folder, "dpkg", "-x", str(packages[0]), str(PLACE))


def _run(folder: str, *words: str) -> bool:
    try:
        return (
            subprocess.run(words, cwd=folder, capture_output=True, timeout=FETCH_SECONDS, check=False).returncode == 0
        )
    except subprocess.TimeoutExpired:
        return False
