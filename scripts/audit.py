"""Asks whether a dependency of a lock is known to be vulnerable; says so where nobody could be asked.

Exit status 1 where one is. Where the service is not reached the answer is not known: that is said, and is no failure,
as a machine without a network must be able to check the rest.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements-test.lock"  # has all of requirements.lock, and what the tests bring
SECONDS = 90


def ask() -> dict[str, Any] | None:
    """What pip-audit found; None where it came to no answer."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--disable-pip", "--format", "json",
               "--progress-spinner", "off", "--timeout", "10"]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)  # noqa: S603  # nosec B603 # our own
        found: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return None
    return found


def judge(found: dict[str, Any] | None) -> tuple[int, list[str]]:
    """The exit status, and what to say: each vulnerability, or how many packages were asked about."""
    packages = found["dependencies"] if found else []
    asked = [one for one in packages if "skip_reason" not in one]
    bad = [(one, fault) for one in asked for fault in one["vulns"]]
    if bad:
        lines = [
            f"{one['name']} {one['version']}: {fault['id']}; mended in {', '.join(fault['fix_versions']) or 'none yet'}"
            for one, fault in bad
        ]
        return 1, [*lines, "take a newer version (make lock), and see that the tests pass"]
    if not asked:
        return 0, ["audit: NOT CHECKED: no vulnerability service could be reached; run «make audit» where one can be"]
    missed = sorted(one["name"] for one in packages if "skip_reason" in one)
    said = [f"audit: {len(asked)} packages, no known vulnerability"]
    return 0, said + ([f"audit: NOT CHECKED, as the service does not know them: {', '.join(missed)}"] if missed else [])


def main() -> int:
    """Ask and say."""
    status, lines = judge(ask())
    print(*lines, sep="\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
