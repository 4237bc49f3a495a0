"""`yellowbooks keys`: a key is new each time, and after a change all is sealed with the first."""

import asyncio
from pathlib import Path

from click.testing import CliRunner, Result

from tests.conftest import ValkeyServer
from yellowbooks.cli import main
from yellowbooks.jobs import Queue
from yellowbooks.settings import load
from yellowbooks.signin import SignIn
from yellowbooks.wiring import kinds

OLD, NEW = "o" * 40, "n" * 40


def run(server: ValkeyServer, folder: Path, keys: str, *words: str) -> Result:
    environment = {"YB_VALKEY_URL": server.url, "YB_DATA_DIR": str(folder), "YB_SECRET_KEYS": keys}
    return CliRunner().invoke(main, ["keys", *words], env=environment)


def test_a_new_key_is_another_each_time_and_is_accepted(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    first, second = (run(own_valkey, tmp_path, "", "new").stdout.strip() for _ in range(2))
    assert first != second
    assert load({"YB_SECRET_KEYS": f"{first},{second}"}, tmp_path / "none").settings.secret_keys == (first, second)


def test_after_a_change_the_old_key_can_go(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    [kind] = kinds(load({"YB_SECRET_KEYS": OLD}, tmp_path / "none").settings)

    async def admit() -> None:
        queue = Queue(own_valkey.url)
        for number in range(3):
            await queue.admit(kind, SignIn(user_id=f"u{number}", email="bat@example.com", provider="github"))
        await queue.close()

    asyncio.run(admit())
    assert run(own_valkey, tmp_path, "", "reseal").exit_code == 2
    missing = run(own_valkey, tmp_path, NEW, "reseal")
    assert (missing.exit_code, missing.stdout) == (1, "0 resealed, 0 current, 0 changed, 3 unreadable\n")
    done = run(own_valkey, tmp_path, f"{NEW},{OLD}", "reseal")
    assert (done.exit_code, done.stdout) == (0, "3 resealed, 0 current, 0 changed, 0 unreadable\n")
    assert run(own_valkey, tmp_path, NEW, "reseal").stdout == "0 resealed, 3 current, 0 changed, 0 unreadable\n"
