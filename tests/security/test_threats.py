"""Every test that docs/threats.md names is there, every row names one, and what they claim to attack is attacked."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/threats.md").read_text("utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and "::" in line]
OWASP = [line for line in TEXT.splitlines() if re.match(r"\| API\d+ ", line)]


def found_in(path: Path) -> set[str]:
    return set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40])
def test_a_threat_names_tests_that_there_are(row: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
    assert named
    assert [test for path, test in named if test not in found_in(ROOT / path)] == []


def test_each_row_of_owasp_names_its_tests() -> None:
    there = found_in(ROOT / "tests/owasp/test_rows.py")
    assert len(OWASP) == 10
    for number, row in enumerate(OWASP, 1):
        named = re.findall(r"`(test_api\d+_\w+)`", row)
        assert named
        assert set(named) <= there
        assert all(test.startswith(f"test_api{number}_") for test in named)


def test_there_are_threats() -> None:
    assert len(ROWS) >= 15
