"""What deploy/ says is what its readers read: schemas, units, and our own settings and commands."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import check_jsonschema
import click
import pytest
import yaml
from jsonschema import Draft202012Validator
from valkey import Valkey

from tests.deploy.schemas import SCHEMAS, core, documents
from tests.parts import eventually
from yellowbooks.cli import main
from yellowbooks.embedded import valkey_command
from yellowbooks.settings import FILES, NAMES, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
UNITS = sorted((DEPLOY / "systemd").iterdir())
ROLES = ("api", "worker")


def understood(words: list[str]) -> None:
    """Raises `UsageError` where our command line does not take these words."""
    main.commands[words[0]].make_context(words[0], words[1:])


def settable(name: str, text: str) -> None:
    """Raises where there is no such setting, or it does not take this value."""
    if name in FILES:
        assert text.startswith("/")
    elif name.startswith("YB_"):
        NAMES[name].metadata["parse"](text)


def test_what_is_not_understood_is_found() -> None:
    with pytest.raises(click.UsageError):
        understood(["worker", "--health-prot", "8081"])
    with pytest.raises(KeyError):
        settable("YB_DRIAN", "5s")
    with pytest.raises(ValueError, match="unit"):
        settable("YB_DRAIN", "5")


def test_the_compose_file_fits_the_published_schema() -> None:
    vendor = Path(check_jsonschema.__file__).parent / "builtin_schemas/vendor/compose-spec.json"
    validator = Draft202012Validator(json.loads(vendor.read_text("utf-8")))
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []
    wrong = json.loads(json.dumps(COMPOSE))
    wrong["services"]["api"]["healtcheck"] = {}
    assert not validator.is_valid(wrong)


@pytest.mark.parametrize("name", ROLES)
def test_a_role_of_the_compose_file(name: str) -> None:
    role = COMPOSE["services"][name]
    understood([str(word) for word in role["command"]])
    for variable, text in role["environment"].items():
        settable(variable, str(text))
        if variable in FILES:
            assert text.removeprefix("/run/secrets/") in role["secrets"]
    assert (role["read_only"], role["cap_drop"]) == (True, ["ALL"])
    assert "no-new-privileges:true" in role["security_opt"]
    assert role["depends_on"] == {store: {"condition": "service_healthy"} for store in ("valkey", "postgres")}


def test_the_compose_file_holds_together(tmp_path: Path) -> None:
    """Every secret is made by make-secrets and used; every service that is waited for says whether it is well."""
    shown = subprocess.run([str(DEPLOY / "make-secrets"), str(tmp_path)], check=True, capture_output=True, text=True)
    assert "smtp_url" in shown.stdout
    made = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    used = {name for service in COMPOSE["services"].values() for name in service.get("secrets", ())}
    assert set(made) == set(COMPOSE["secrets"]) == used
    for name, secret in COMPOSE["secrets"].items():
        assert secret["file"] == f"./secrets/{name}"
    for variable, name in FILES.items():
        key = name.removeprefix("YB_").lower()
        if made.get(key):
            NAMES[name].metadata["parse"](made[key])
        elif key in made:
            assert key == "smtp_url", variable
    subprocess.run([str(DEPLOY / "make-secrets"), str(tmp_path)], check=True, capture_output=True)
    assert {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()} == made
    for service in COMPOSE["services"].values():
        assert "healthcheck" in service or service.get("image") == "yellowbooks"
    grace = float(COMPOSE["services"]["worker"]["command"][-1])
    assert int(COMPOSE["services"]["worker"]["stop_grace_period"].removesuffix("s")) > grace


@pytest.fixture
def composed_valkey(short_folder: Path) -> Iterator[Callable[[], "Valkey[bytes]"]]:
    """The Valkey of the compose file, its very command, on a socket."""
    (short_folder / "valkey_password").write_text("a secret", "utf-8")
    (short_folder / "valkey-server").symlink_to(valkey_command(short_folder)[0])
    words = [word.replace("$$", "$") for word in COMPOSE["services"]["valkey"]["command"]]
    own = {
        "/run/secrets": str(short_folder),
        "/data": str(short_folder),
        "valkey-server -": "valkey-server - --port 0 --unixsocket s",
    }
    for old, new in own.items():
        words[-1] = words[-1].replace(old, new)
    path = f"{short_folder}:{Path(sys.executable).parent}:/usr/bin:/bin"
    process = subprocess.Popen(words, cwd=short_folder, env={"PATH": path}, stdout=subprocess.DEVNULL)
    yield lambda: Valkey(unix_socket_path=f"{short_folder}/s", password="a secret")
    process.terminate()
    assert process.wait(10) == 0, "it did not hear SIGTERM: the shell stands before it"


async def test_the_valkey_of_the_compose_file(composed_valkey: Callable[[], "Valkey[bytes]"]) -> None:
    def settings() -> Any:
        try:
            with composed_valkey() as client:
                return client.config_get("*")
        except Exception:
            return None

    found = await eventually(settings, 20)
    assert (found["appendonly"], found["appendfsync"], found["maxmemory-policy"], found["save"]) == (
        "yes",
        "always",
        "noeviction",
        "",
    )
    assert found["requirepass"] == "a secret"


def test_the_manifests_fit_the_published_schemas() -> None:
    schemas = json.loads(SCHEMAS.read_text("utf-8"))
    rooted = {"$defs": schemas["definitions"]}

    def faults(document: Any) -> list[str]:
        name = schemas["kinds"][f"{document['apiVersion']} {document['kind']}"]
        validator = Draft202012Validator(rooted | {"$ref": f"#/$defs/{name}"})
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]

    for document in core():
        assert faults(document) == [], document["metadata"]["name"]
    [deployment, *_] = [one for one in core() if one["kind"] == "Deployment"]
    deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    assert faults(deployment)


def deployments() -> list[Any]:
    return [one for _, one in documents() if one["kind"] == "Deployment"]


def test_a_manifest_starts_what_there_is() -> None:
    for deployment in deployments():
        pod = deployment["spec"]["template"]["spec"]
        [container] = pod["containers"]
        understood(container["args"])
        for one in container["env"]:
            settable(one["name"], one["value"])
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert (pod["securityContext"]["runAsNonRoot"], pod["automountServiceAccountToken"]) == (True, False)
        seconds = {one["name"]: one["value"] for one in container["env"]}.get("YB_DRAIN", "0s")
        assert pod["terminationGracePeriodSeconds"] > float(seconds.removesuffix("s")) + 3
        ports = {port["name"] for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["port"] in ports
    settings = next(one for _, one in documents() if one["kind"] == "ConfigMap")
    for name, text in settings["data"].items():
        settable(name, text)


def test_the_manifests_hold_together() -> None:
    """Selectors find pods, references find what they name, and every secret is one that make-secrets makes."""
    names = {(one["kind"], one["metadata"]["name"]) for _, one in documents() if "metadata" in one}
    components = {one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"] for one in deployments()}
    text = "\n".join(path.read_text("utf-8") for path in (DEPLOY / "kubernetes").glob("*.yaml"))
    assert set(re.findall(r"component: (\w+)", text)) == components == {"api", "worker"}
    for reference in re.findall(r"configMapRef: {name: ([\w-]+)}", text):
        assert ("ConfigMap", reference) in names
    assert set(re.findall(r"/run/secrets/yellowbooks/(\w+)", text)) <= set(COMPOSE["secrets"])
    listed = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text("utf-8"))["resources"]
    files = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")} - {"kustomization.yaml", "scaling.yaml"}
    assert set(listed) == files
    if shutil.which("kubectl"):
        made = subprocess.run(
            ["kubectl", "kustomize", str(DEPLOY / "kubernetes")], capture_output=True, text=True, check=True
        )
        assert len(list(yaml.safe_load_all(made.stdout))) == sum(1 for _ in core())


def test_workers_are_scaled_by_metrics_that_there_are() -> None:
    [scaled] = [one for _, one in documents() if one["kind"] == "ScaledObject"]
    assert scaled["spec"]["scaleTargetRef"]["name"] in {one["metadata"]["name"] for one in deployments()}
    assert 0 < scaled["spec"]["minReplicaCount"] <= scaled["spec"]["maxReplicaCount"]
    shown = "".join(path.read_text("utf-8") for path in (ROOT / "src/yellowbooks/metrics").glob("*.py"))
    for trigger in scaled["spec"]["triggers"]:
        assert (trigger["type"], set(trigger["metadata"])) == ("prometheus", {"serverAddress", "query", "threshold"})
        assert float(trigger["metadata"]["threshold"]) > 0
        for name in re.findall(r"yb_\w+", trigger["metadata"]["query"]):
            assert f'"{name}"' in shown, name


def sections(path: Path) -> dict[str, list[str]]:
    """Every key of a unit with its values."""
    found: dict[str, list[str]] = {}
    for line in path.read_text("utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, text = line.partition("=")
            found.setdefault(key, []).append(text)
    return found


@pytest.mark.parametrize("path", [path for path in UNITS if path.suffix == ".service"], ids=lambda path: path.name)
def test_a_unit_starts_what_there_is(path: Path) -> None:
    unit = sections(path)
    [start] = unit["ExecStart"]
    understood(start.split()[1:])
    credentials = {text.partition(":")[0] for text in unit["LoadCredential"]}
    for variable, text in (word.split("=", 1) for words in unit["Environment"] for word in words.split()):
        settable(variable, text.replace("%d", "/run/credentials"))
        if variable in FILES:
            assert text.removeprefix("%d/") in credentials
    assert unit["Slice"] == ["yellowbooks.slice"]
    assert unit["RestartPreventExitStatus"] == ["2"]  # a wrong setting: starting it again would not help
    assert Settings().port == 3333


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd's own verifier is not on this machine")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for path in UNITS:
        text = path.read_text("utf-8").replace(
            "/opt/yellowbooks/bin/yellowbooks", f"{Path(sys.executable).parent}/yellowbooks"
        )
        (tmp_path / path.name).write_text(text, "utf-8")
    units = [str(tmp_path / path.name) for path in UNITS]
    shown = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    safe = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", *(u for u in units if u.endswith("service"))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert safe.returncode == 0, safe.stdout
