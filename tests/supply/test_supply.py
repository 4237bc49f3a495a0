"""What the system is made of: locked by hash, listed, and audited honestly."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-test.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"scripts/{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(name: str) -> str:
    """PEP 503's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(name: str) -> dict[str, tuple[str, int]]:
    """Package -> version and how many hashes."""
    text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            match = re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", line)
            assert match, f"{name}: {line[:60]} is not pinned by its version"
            found[plain(match[1])] = (match[2], len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", line)))
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_pinned_and_hashed(name: str) -> None:
    found = locked(name)
    assert len(found) > 20
    assert [package for package, (_, hashes) in found.items() if not hashes] == []
    assert not re.search(
        r"https?:|git\+|file:| @ |-e |index-url|find-links|trusted-host", (ROOT / name).read_text("utf-8")
    )


def test_what_the_project_asks_for_is_in_the_locks() -> None:
    runtime, everything = locked(LOCKS[0]), locked(LOCKS[1])
    asked = [re.split(r"[\[<>=!~; ]", one)[0] for one in PROJECT["project"]["dependencies"]]
    assert {plain(one) for one in asked} <= set(runtime)
    tests = [re.split(r"[\[<>=!~; ]", one)[0] for one in PROJECT["dependency-groups"]["dev"]]
    assert {plain(one) for one in tests} <= set(everything)
    assert {package: version for package, (version, _) in runtime.items()}.items() <= {
        package: version for package, (version, _) in everything.items()
    }.items(), "the tests run with other versions than those that are shipped"


def test_nothing_is_installed_past_the_locks() -> None:
    for path in (ROOT / "Makefile", ROOT / "deploy/Containerfile", ROOT / ".ci/run"):
        for line in path.read_text("utf-8").replace("\\\n", " ").splitlines():
            if re.search(r"\bpip\b.* install\b", line):
                ours = "--no-deps" in line and "--no-build-isolation" in line
                assert ours or "--require-hashes" in line or "--no-index" in line, f"{path.name}: {line.strip()}"


def test_the_sbom_is_valid_complete_and_the_same_each_time(tmp_path: Path) -> None:
    sbom = load("sbom")
    sbom.write(tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    listed = {plain(one["name"]): one["version"] for one in document["components"]}
    assert listed == {package: version for package, (version, _) in locked(LOCKS[0]).items()}
    assert all(one["purl"].startswith("pkg:pypi/") for one in document["components"])
    assert document["metadata"]["component"]["name"] == "yellowbooks"
    assert "timestamp" not in document["metadata"]


FOUND = {"name": "a", "version": "1", "vulns": [{"id": "CVE-2099-1", "fix_versions": ["2"]}]}
WELL, SKIPPED = {"name": "b", "version": "1", "vulns": []}, {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("found", "status", "said"),
    [
        (None, 0, "NOT CHECKED"),
        ({"dependencies": []}, 0, "NOT CHECKED"),
        ({"dependencies": [SKIPPED]}, 0, "NOT CHECKED"),
        ({"dependencies": [WELL]}, 0, "1 packages, no known vulnerability"),
        ({"dependencies": [WELL, SKIPPED]}, 0, "does not know them: c"),
        ({"dependencies": [WELL, FOUND, SKIPPED]}, 1, "a 1: CVE-2099-1; mended in 2"),
    ],
)
def test_an_audit_says_what_it_knows_and_no_more(found: Any, status: int, said: str) -> None:
    answer, lines = load("audit").judge(found)
    assert answer == status
    assert said in "\n".join(lines)


def test_each_place_that_bandit_passes_over_says_why() -> None:
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")]:
        for line in path.read_text("utf-8").splitlines():
            if "nosec" in line:
                assert re.search(r"# nosec B\d{3} # \S", line), f"{path.name}: {line.strip()}"


def test_lint_runs_them_all() -> None:
    [lint] = re.findall(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for word in ("ruff check", "ruff format --check", "mypy", "bandit", "scripts/audit.py"):
        assert word in lint
