"""The rules of the house, held by tests: arrows point down, faces only, small files, one word an act."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from yellowbooks.jobs import Queue
from yellowbooks.jobs.verbs import VERBS

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "src/yellowbooks"
FILES = sorted(HOUSE.rglob("*.py"))
FOLDERS = {
    "access",
    "tracing",
    "drill",
    "alerts",
    "jobs",
    "mail",
    "signin",
    "joblog",
    "api",
    "operators",
    "dashboard",
    "webhooks",
    "demo",
    "doctor",
    "wiring",
    "metrics",
    "spool",
    "client",
    "notme",
    "privacy",
    "edge",
}
# Room -> the rooms it may look into. Who stands higher is not named below.
BELOW: dict[str, set[str]] = {
    "jobs": set(), "mail": set(), "settings": {"parsers"}, "parsers": set(),
    "signin": {"jobs", "mail"}, "joblog": {"jobs"}, "observe": set(), "health": set(), "processes": set(), "acceptance": set(),
    "access": {"addresses"}, "addresses": set(),
    "api": {"access", "intake", "signin", "jobs", "mail", "views"}, "intake": {"jobs", "spool", "patience"}, "patience": set(), "views": {"jobs"},
    "metrics": {"jobs"},
    "tracing": {"jobs", "mail"},
    "drill": {"jobs", "signin", "embedded", "processes", "settings"},
    "operators": {"api", "joblog", "jobs", "views"},
    "alerts": {"jobs", "metrics"},
    "dashboard": set(),  # what it shows and does goes over HTTP
    "privacy": {"intake", "spool", "joblog", "signin", "jobs", "mail", "views"},
    "wiring": {"edge", "access", "privacy", "intake", "spool", "alerts", "notme", "views", "signin", "joblog", "demo", "webhooks", "api", "operators", "dashboard", "jobs", "mail", "settings", "observe", "health", "metrics", "sealing", "tracing"},
    "webhooks": {"signin", "jobs"}, "notme": {"jobs"}, "edge": {"addresses"},
    "demo": {"client"},
    "spool": set(), "client": {"spool"},
    "doctor": {"jobs", "joblog", "mail"},
    "sealing": {"jobs"},
    "embedded": {"settings", "observe", "processes"},
    "cli": {"access", "parsers", "privacy", "joblog", "drill", "wiring", "embedded", "views", "doctor", "acceptance", "observe", "processes", "settings", "mail", "signin", "jobs"},
    "__main__": {"cli"}, "__init__": set(),
}  # fmt: skip


def room_of(path: Path) -> str:
    parts = path.relative_to(HOUSE).parts
    return parts[0] if len(parts) > 1 else path.stem


def imports_of(path: Path) -> Iterator[tuple[str, str]]:
    """Every import of ours in a file, type-only and in-function ones too: the room, and the whole name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"yellowbooks.{a.name}" for a in node.names] if node.module == "yellowbooks" else [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("yellowbooks.") and name != "yellowbooks.__version__":
                yield name.split(".")[1], name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_arrows_point_down_and_meet_faces(path: Path) -> None:
    room = room_of(path)
    for other, name in imports_of(path):
        if other == room:
            continue
        assert other in BELOW[room], f"{room} must not know {other}"
        assert other not in FOLDERS or name == f"yellowbooks.{other}", f"import from the face of {other}, not {name}"


def test_no_circles_within_a_room() -> None:
    arrows = {
        f"yellowbooks.{'.'.join(path.relative_to(HOUSE).with_suffix('').parts)}": [name for _, name in imports_of(path)]
        for path in FILES
    }
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"a circle: {' -> '.join((*trail, name))}"
        if name not in done:
            for other in arrows.get(name, []):
                walk(other, (*trail, name))
            done.add(name)

    for name in arrows:
        walk(name, ())


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_a_face_shows_all_that_it_says(folder: str) -> None:
    module = __import__(f"yellowbooks.{folder}", fromlist=["__all__"])
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_files_and_functions_are_small_and_say_what_they_are(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 40, f"{node.name} is too long"
    if path.parent.name != "versions":
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith(
                "_"
            ):
                assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_the_environment_is_read_in_one_place_and_logs_are_written_in_one() -> None:
    for path in FILES:
        text = path.read_text("utf-8")
        if path.name != "settings.py":
            assert not re.search(r"\benviron\b|\bgetenv\b", text), path
        if path.name != "observe.py":
            assert not re.search(r"^\s*(?:import logging|from logging|print\()", text, re.MULTILINE), path


def test_the_engine_knows_no_mail_http_or_sql() -> None:
    for path in (HOUSE / "jobs").rglob("*"):
        if path.suffix in (".py", ".lua"):
            text = path.read_text("utf-8")
            assert not re.search(
                r"\b(?:import|from) (?:sqlalchemy|litestar|uvicorn|aiosmtplib|email|jinja2|http)\b", text
            )
            assert not re.search(r"\bSMTP\b|\bsign-?in\b", text, re.IGNORECASE), path


def test_one_word_an_act() -> None:
    """A verb is a Lua file, a method of Queue, a line in the drawing; what it emits is drawn too."""
    drawing = (HOUSE / "jobs/job.py").read_text("utf-8")
    files = {path.stem for path in (HOUSE / "jobs/transitions").glob("*.lua")} - {"prelude"}
    assert files == set(VERBS)
    for verb, script in VERBS.items():
        assert hasattr(Queue, verb)
        if verb not in (
            "name",
            "recorded",
            "shed",
            "leave",
            "lock",
            "unlock",
            "hold",
            "unhold",
            "fire",
            "look",
            "survey",
            "group",
            "reseal",
            "shred",
        ):
            assert re.search(rf"^    {verb}\b", drawing, re.MULTILINE), verb
        for event in script.contract["emits"]:
            assert re.search(rf"\b{event}$", drawing, re.MULTILINE), event
        text = (HOUSE / f"jobs/transitions/{verb}.lua").read_text("utf-8").splitlines()
        assert text[0].startswith("#!lua")
        assert text[1].startswith(f"-- {verb}: ")
        assert ("allow-oom" in text[0]) == (verb not in ("name", "admit", "requeue", "edit", "restore"))


def test_scripts_emit_what_they_say() -> None:
    for verb, script in VERBS.items():
        text = (HOUSE / f"jobs/transitions/{verb}.lua").read_text("utf-8")
        said = set(re.findall(r"\bmove\(job, '\w+', '(\w+)'", text)) | set(re.findall(r"\btell\('(\w+)'", text))
        said |= (
            set(re.findall(r"\bname = item.spent and '(\w+)' or '(\w+)'", text)[0])
            if "item.spent and" in text
            else set()
        )
        said |= {"died"} if "bury(" in text else set()
        assert said == set(script.contract["emits"]), verb


def test_the_locks_hold_hashes_and_no_addresses() -> None:
    for name in ("requirements.lock", "requirements-test.lock"):
        text = (ROOT / name).read_text("utf-8")
        assert "--hash=sha256:" in text
        assert not re.search(r"https?:|index-url|find-links|file:", text)
    for name in ("chromium", "webhooks/betterauth"):
        text = (ROOT / f"tests/{name}/package-lock.json").read_text("utf-8")
        assert text.count('"integrity": "sha512-') == len(json.loads(text)["packages"]) - 1
        assert not re.search(r"https?:|\"resolved\"", text)


def test_what_idles_brings_neither_the_web_framework_nor_the_database() -> None:
    """They are 15 to 25 MB each; a part that needs one imports it where it is used."""
    look = "import sys, yellowbooks.cli, yellowbooks.wiring; print(*{'litestar', 'sqlalchemy', 'uvicorn'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True).stdout.split()
    assert not found, f"{found} come with yellowbooks.wiring: import them within the function that uses them"
