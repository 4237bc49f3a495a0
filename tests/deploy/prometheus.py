"""Prometheus and promtool: the machine's own, or Debian's package unpacked once into .venv; nothing is installed."""

import fcntl
import shutil
import sys
from pathlib import Path

import pytest
from bench.debian import unpack

PLACE = Path(sys.prefix) / "prometheus"


def find(name: str) -> str:
    """The path of `prometheus` or `promtool`; skips the test where neither the machine nor Debian has it."""
    found = shutil.which(name)
    if found:
        return found
    PLACE.mkdir(exist_ok=True)
    with (PLACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = PLACE / "usr/bin" / name
        if not path.exists() and not unpack("prometheus", PLACE):
            pytest.skip(f"no {name} here, and Debian's package of it cannot be had; apt-get install prometheus")
    return str(path)
