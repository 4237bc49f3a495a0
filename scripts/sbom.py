"""Writes what the system is made of: CycloneDX 1.6 from the lock, in dist/sbom.cdx.json, the same for the same lock."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SBOM = ROOT / "dist/sbom.cdx.json"


def write(path: Path) -> None:
    """Write it, validated against CycloneDX's own schema. Raises `CalledProcessError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", str(ROOT / "requirements.lock"),
               "--pyproject", str(ROOT / "pyproject.toml"), "--sv", "1.6", "--output-reproducible", "--validate",
               "--output-file", str(path)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # nosec B603 # our own


if __name__ == "__main__":
    write(SBOM)
    print(f"written: {SBOM.relative_to(ROOT)}")
