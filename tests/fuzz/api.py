"""schemathesis over the whole OpenAPI document of a real API, with a real queue, worker and job log behind it.

Every check is on. What it may not judge stands in `EXCLUDED`, with the reason.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.hooks import SECRET
from tests.security.whole import CALLER, OPERATOR
from tests.test_up import ROOT, System, free_port
from tests.webhooks.cases import PLAIN, SECRETS

METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "TRACE")
PHASES = ("examples", "coverage", "fuzzing", "stateful")
REFUSALS = ("400", "401", "403", "404", "405", "409", "413", "414", "429", "503")
ROLES = {"nobody": (), "caller": (CALLER,), "operator": (OPERATOR,)}
SIGNING = ",".join(f"{name}:{secret}" for name, secret in SECRETS.items() if "," not in secret)
EXCLUDED = {
    "show-act": ("use_after_free", "an act that was taken back is shown for an hour, as one that was"),
    "take-webhook": (
        "positive_data_acceptance",
        "the body is its source's, and the document says nothing of its fields",
    ),
    "edit-dead": ("positive_data_acceptance", "which payload is right depends on the kind of the job in the address"),
}
"""Operation -> the check that is off for it, and why."""


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What one run came to; `lines` is all that schemathesis said."""

    role: str
    operations: int
    cases: int
    failures: int
    server_errors: int
    seed: int
    lines: str

    def row(self) -> str:
        """A line of a table."""
        return (
            f"{self.role:<10} {self.operations:>10} {self.cases:>8} {self.failures:>9} {self.server_errors:>5} "
            f"{self.seed:>6}"
        )


HEAD = f"{'role':<10} {'operations':>10} {'cases':>8} {'failures':>9} {'5xx':>5} {'seed':>6}"


@contextlib.contextmanager
def system() -> Iterator[System]:
    """Everything that `up` starts, with a kind whose jobs also die and wait."""
    with tempfile.TemporaryDirectory(prefix="yb") as folder:
        settings = {
            "YB_PORT": str(free_port()), "YB_DATA_DIR": folder, "YB_API_KEYS": CALLER, "YB_ADMIN_KEYS": OPERATOR,
            "YB_MAIL_SECRET": SECRET, "YB_WEBHOOK_SECRETS": SIGNING, "YB_KINDS": "tests.fuzz.kinds",
            "YB_RATE_LIMIT": "50/hour", "YB_LOG_FORMAT": "json",
        }  # fmt: skip
        running = System("up", **settings)
        try:
            running.read_until("Try it")
            yield running
        finally:
            running.stop()


def fuzz(
    running: System, role: str, *, examples: int, seed: int, phases: Sequence[str], seconds: int | None = None,
) -> Fuzzed:  # fmt: skip
    """One run as one role; `seconds` bounds it."""
    with tempfile.TemporaryDirectory(prefix="yb") as folder:
        config, report = Path(folder) / "schemathesis.toml", Path(folder) / "report.json"
        config.write_text(_config(ROLES[role], seed, examples), "utf-8")
        command = [
            sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(config), "run",
            f"{running.url}/schema", "--phases", ",".join(phases), "--report", "json",
            "--report-json-path", str(report),
            *(["--max-time", str(seconds)] if seconds else []),
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks"}, capture_output=True,
            text=True, check=False, timeout=3600,
        )  # fmt: skip
        said = done.stdout + done.stderr
        if not report.exists():
            raise RuntimeError(f"schemathesis made no report:\n{said}")
        return _read(role, seed, json.loads(report.read_text("utf-8")), said)


def _config(keys: Sequence[str], seed: int, examples: int) -> str:
    lines = [
        f"seed = {seed}", "request-timeout = 30.0", "max-stream-events = 2", "continue-on-failure = true",
        *(f'headers = {{ Authorization = "Bearer {key}" }}' for key in keys),
        "[generation]", f"max-examples = {examples}", 'database = "none"',
        # A NUL in an address is refused at the edge (tests/edge/test_shapes.py); in bodies tests/fuzz/kept.py has it.
        "allow-x00 = false",
        # A method that nobody here knows is 501 (RFC 9110, section 15.6.2; tests/edge/test_shapes.py), not 405.
        "[phases.coverage]", f"unexpected-methods = {[*METHODS]}",
        "[checks]", "enabled = true",
        # A body that breaks a rule by its size is refused for its size.
        f"negative_data_rejection.expected-statuses = {[*REFUSALS]}",
    ]  # fmt: skip
    for operation, (check, why) in EXCLUDED.items():
        lines += ["[[operations]]", f'include-operation-id = "{operation}"', f"checks.{check}.enabled = false  # {why}"]
        if keys and operation == "take-webhook":  # two sources are known by a bearer: what follows is fuzzed too
            lines.append(f'headers = {{ Authorization = "Bearer {PLAIN}" }}')
    return "\n".join(lines) + "\n"


def _read(role: str, seed: int, report: dict[str, Any], said: str) -> Fuzzed:
    kinds = {one["type"]: one["count"] for one in report["failures"]}
    return Fuzzed(
        role=role, operations=report["operations"]["tested"], cases=report["test_cases"]["generated"],
        failures=sum(kinds.values()) + sum(one["count"] for one in report["errors"]),
        server_errors=kinds.get("ServerError", 0), seed=seed, lines=said,
    )  # fmt: skip
