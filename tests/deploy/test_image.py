"""The image's own steps, and its roles as its user over a root that nobody can write to."""

import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import PostgresServer, ValkeyServer
from tests.deploy.image import NOBODY, Image, made
from tests.test_up import free_port, gone

KEYS = {"YB_API_KEYS_FILE": "api_keys", "YB_ADMIN_KEYS_FILE": "admin_keys", "YB_VALKEY_URL_FILE": "valkey_url",
        "YB_DATABASE_URL_FILE": "database_url", "YB_MAIL_SECRET_FILE": "mail_secret"}  # fmt: skip


@pytest.fixture
def secrets(tmp_path: Path) -> Iterator[Path]:
    """A folder that the image's user can read, as a container's is."""
    folder = Path(tempfile.mkdtemp(prefix="yb"))
    folder.chmod(0o755)
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def has_two_stages_of_one_base_and_ends_as_nobody(image: Image) -> None:
    assert image.build.base == image.final.base
    assert image.final.last("USER") == f"{NOBODY}:{NOBODY}"
    assert not [word for word, _ in image.final.steps if word == "RUN"]
    found = image.folder.glob("opt/yellowbooks/lib/python3.*/site-packages/*.dist-info")
    installed = {path.name.partition("-")[0] for path in found}
    assert "yellowbooks" in installed
    assert installed & {"pip", "setuptools", "pytest", "playwright"} == set()


def lets_its_user_write_to_its_data_alone(image: Image) -> None:
    script = (
        "import os, pathlib, yellowbooks\n"
        "for name in (yellowbooks.__file__, os.environ['YB_DATA_DIR'] + '/x'):\n"
        "    try: pathlib.Path(name).open('a').close(); print('written')\n"
        "    except OSError as error: print(error.strerror)\n"
        "print(bool(os.statvfs(yellowbooks.__file__).f_flag & os.ST_RDONLY), os.geteuid())\n"
    )
    command = image.command()
    command[-1] = str(image.folder / "opt/yellowbooks/bin/python")
    shown = subprocess.run(
        [*command, "-c", script], env=image.environment(), capture_output=True, text=True, check=True
    )
    if os.geteuid() == 0:
        assert shown.stdout.splitlines() == ["Permission denied", "written", f"True {NOBODY}"]
    else:  # without root there is no mount of one's own
        assert shown.stdout.splitlines()[1] == "written"


def test_the_image(own_valkey: ValkeyServer, postgres: PostgresServer, secrets: Path) -> None:
    """One test, as the image takes seconds to make and tests run in several processes."""
    with made(download=False) as image:
        has_two_stages_of_one_base_and_ends_as_nobody(image)
        lets_its_user_write_to_its_data_alone(image)
        sends_a_sign_in_over_servers_of_ones_own(image, own_valkey, postgres, secrets)


def sends_a_sign_in_over_servers_of_ones_own(
    image: Image, own_valkey: ValkeyServer, postgres: PostgresServer, secrets: Path
) -> None:
    api_port, worker_port, valkey_port = str(free_port()), str(free_port()), free_port()
    with own_valkey.client() as client:
        client.config_set("port", valkey_port)
    texts = {"api_keys": "k" * 24, "admin_keys": "a" * 24, "mail_secret": "m" * 24, "database_url": postgres.new_database(),
             "valkey_url": f"valkey://127.0.0.1:{valkey_port}/0"}  # fmt: skip
    for name, text in texts.items():
        (secrets / name).write_text(text, "utf-8")
    given = {variable: str(secrets / name) for variable, name in KEYS.items()}
    api = image.environment(YB_PORT=api_port, **given)
    worker = image.environment(YB_VALKEY_URL_FILE=given["YB_VALKEY_URL_FILE"]) | {"YB_HOST": "127.0.0.1"}
    log = (secrets / "log").open("wb")
    roles = [
        subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        for command, environment in (
            (image.command("api"), api),
            (image.command("worker", "--health-port", worker_port, "--health-host", "127.0.0.1"), worker),
        )
    ]
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{worker_port}/"), roles, secrets / "log")
        wait_until(lambda: answers(f"http://127.0.0.1:{api_port}/readyz"), roles, secrets / "log")
        assert image.healthy(api_port, api)
        assert not image.healthy(str(free_port()), api)
        address = f"http://127.0.0.1:{api_port}"
        check = [*image.command("check", "--url", address)]
        keys = {"YB_API_KEYS": texts["api_keys"], "YB_ADMIN_KEYS": texts["admin_keys"]}
        done = subprocess.run(check, env=image.environment(**keys), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        for role in roles:
            os.killpg(role.pid, signal.SIGTERM)
        ended = [role.wait(30) for role in roles]
        log.close()
    assert ended == [0, 0], (secrets / "log").read_text()
    assert all(gone(role.pid) for role in roles)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def wait_until(true: Callable[[], bool], roles: list["subprocess.Popen[bytes]"], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, log.read_text()
        assert all(role.poll() is None for role in roles), log.read_text()
        time.sleep(0.1)
