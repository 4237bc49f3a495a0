"""The rules and the dashboard ask for what /metrics has, by our own reading and by Prometheus's own tools."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.prometheus import find
from tests.metrics.test_metrics import page, read_text, teller, work
from tests.parts import Ping
from tests.test_up import EVENT, PATH, ROOT, free_port, start  # noqa: F401  a fixture
from yellowbooks.jobs import Kind, Queue

RULES = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = json.loads((ROOT / "deploy/grafana/yellowbooks.json").read_text("utf-8"))
OURS = re.compile(r"(?P<name>yb_\w+)(?:\{(?P<labels>[^}]*)\})?")
WORDS = {"le"}


def rules() -> list[str]:
    """The expressions of the rules; the form of the file is promtool's to check."""
    text = RULES.read_text("utf-8")
    return [
        " ".join(found.split()) for found in re.findall(r"expr: (?:\|\n((?:          .*\n)+)|.*)", text) if found
    ] + re.findall(r"expr: ([^|\n].*)", text)


def targets() -> list[str]:
    """The queries of the dashboard, as Grafana would send them."""
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [query.replace("$__rate_interval", "1m").replace("$kind", ".*") for query in queries]


async def test_each_query_names_metrics_and_labels_that_there_are(queue: Queue, ping: Kind[Ping]) -> None:
    await work(queue, ping)
    await queue.hold("ping", by="x", reason="x")
    await teller(queue).count(await queue.read(0.1, entries=1000))
    known: dict[str, set[str]] = {}
    values: dict[tuple[str, str], set[str]] = {}
    for family in read_text(await page(queue)(openmetrics=False)):
        for one in family.samples:
            known.setdefault(one.name, set()).update(one.labels)
            for label, value in one.labels.items():
                values.setdefault((one.name, label), set()).add(value)
    queries = rules() + targets()
    assert len(rules()) == 11
    assert len(targets()) > 25
    used = set()
    for query in queries:
        names = [found["name"] for found in OURS.finditer(query)]
        assert names, query
        for found in OURS.finditer(query):
            assert found["name"] in known, query
            used.add(found["name"])
            for label, sign, wanted in re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', found["labels"] or ""):
                assert label in known[found["name"]], query
                if sign != "!=" and wanted != ".*":
                    unseen = set(wanted.split("|")) - values[(found["name"], label)]
                    assert not unseen - {"deferred", "crashed"}, query  # those are counted when they happen
        for labels in re.findall(r"by \(([^)]*)\)", query):
            assert all(any(label.strip() in known[name] for name in names) for label in labels.split(",")), query
    shown = {name for name in known if name.startswith("yb_") and not name.endswith(("_count", "_sum", "_created"))}
    assert shown - used == {"yb_build_info"}  # what needs no chart


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    """Grafana itself cannot be had here as a package; this is what its schema asks of each panel (version 39)."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
        assert panel["type"] in ("stat", "timeseries")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"datasource", "kind"}


def test_promtool_takes_the_rules_and_they_fire_where_they_should() -> None:
    promtool = find("promtool")
    for words in (("check", "rules", "alerts.yml"), ("test", "rules", "alerts.test.yml")):
        found = subprocess.run(
            [promtool, *words], cwd=RULES.parent, capture_output=True, text=True, check=False, timeout=60
        )
        assert found.returncode == 0, found.stdout + found.stderr
    assert "SUCCESS" in found.stdout


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Starts a Prometheus that scrapes one address; gives its own."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(target: str) -> str:
        binary, port = find("prometheus"), free_port()
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "yellowbooks", "static_configs": [{"targets": [target]}]}],
        }
        (tmp_path / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        words = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
        with (tmp_path / "log").open("wb") as log:
            running.append(
                subprocess.Popen([binary, *words, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
            )
        return f"http://127.0.0.1:{port}"

    yield begin
    for one in running:
        os.kill(one.pid, signal.SIGKILL)
        one.wait()


def ask(address: str, query: str) -> Any:
    """A query's answer; None while it cannot be asked."""
    try:
        with urllib.request.urlopen(f"{address}/api/v1/{query}", timeout=10) as reply:
            return json.load(reply)["data"]
    except OSError:
        return None


def test_a_real_prometheus_scrapes_us_and_answers_each_query(start: Any, prometheus: Callable[[str], str]) -> None:  # noqa: F811  the fixture
    up = start()
    address = prometheus(up.url.removeprefix("http://"))
    for number in range(3):
        assert up.ask("POST", PATH, EVENT | {"jobId": f"j{number}", "userId": f"u{number}"})[0] == 202
    wanted = urllib.parse.quote('yb_job_events_total{event="completed"} == 3')
    deadline = time.monotonic() + 40
    while not (ask(address, f"query?query={wanted}") or {}).get("result"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for query in targets():
        found = ask(address, f"query?query={urllib.parse.quote(query)}")
        assert found is not None, query
        if not any(word in query for word in ("rate(", "increase(", "yb_held", "yb_smtp_breaker_open")):
            assert found["result"], query
    [group] = ask(address, "rules")["groups"]
    assert len(group["rules"]) == 11
    assert all(rule["health"] != "err" for rule in group["rules"]), group
