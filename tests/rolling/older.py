"""An older version of this package beside this one, on one queue.

The older one comes from this repository's history, by the subject of its commit: the last one before which a record or
a payload was stored in another way. After such a change its own commit takes this place, in the same change.
"""

import io
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUBJECT = "Hold the code on pages to the files that tests run"


def commit() -> str | None:
    """The older commit; None where the history is not here (a shallow clone, an archive)."""
    words = ["git", "log", "--format=%H", "--fixed-strings", f"--grep={SUBJECT}"]
    found = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.split()[-1] if found.returncode == 0 and found.stdout.strip() else None


def unpack(which: str, folder: Path) -> Path:
    """Its package, put into a folder; what PYTHONPATH must name."""
    packed = subprocess.run(["git", "archive", which, "src"], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"
