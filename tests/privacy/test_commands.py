"""`yellowbooks export` and `erase` as a person runs them: exit status, what is said, a file that nobody else reads."""

import asyncio
import json
from pathlib import Path

from click.testing import CliRunner, Result

from tests.conftest import ValkeyServer
from tests.privacy.rig import ADDRESS, USER, rig
from yellowbooks.cli import main


def run(server: ValkeyServer, folder: Path, *words: str, **more: str) -> Result:
    environment = {"YB_VALKEY_URL": server.url, "YB_DATA_DIR": str(folder), "YB_MAIL_SECRET": "a-secret-of-the-tests"}
    return CliRunner().invoke(main, [*words], env=environment | more)


def fill(server: ValkeyServer, folder: Path, count: int = 2) -> None:
    async def work() -> None:
        async with rig(server, folder) as the:
            for _ in range(count):
                await the.admit()
                [lease], _ = await the.queue.claim([the.sign_in], 1)
                await the.queue.release([lease])
            await the.queue.cancel([lease.job_id])
            await the.recorded()

    asyncio.run(work())


def test_export_and_erase(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    fill(own_valkey, tmp_path)
    out = tmp_path / "his.json"
    assert run(own_valkey, tmp_path, "export", USER, "--out", str(out)).exit_code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    found = json.loads(out.read_text("utf-8"))
    assert found["about"] == {"userId": USER, "address": None}
    assert ADDRESS in out.read_text("utf-8")
    printed = run(own_valkey, tmp_path, "export", "--address", ADDRESS)
    assert [part["part"] for part in json.loads(printed.stdout)["parts"] if part["items"]] == ["queue", "job log"]

    unsure = run(own_valkey, tmp_path, "erase", USER)
    assert (unsure.exit_code, "--yes" in unsure.output) == (2, True)
    # Nobody records here, so what the cancellation tells would bring the row back: it says so, and is run again.
    first = run(own_valkey, tmp_path, "erase", USER, "--yes", "--wait", "0", "--json")
    answer = json.loads(first.stdout)
    by_part = {part["part"]: part for part in answer["parts"]}
    assert (first.exit_code, answer["done"]) == (1, False)
    assert (by_part["queue"]["erased"], by_part["queue"]["left"], by_part["job log"]["left"]) == (2, 0, 2)
    assert "recorder" in by_part["job log"]["gaps"][0]
    asyncio.run(_record(own_valkey, tmp_path))
    second = run(own_valkey, tmp_path, "erase", USER, "--yes")
    assert second.exit_code == 0, second.output
    assert "nothing is left here" in second.stdout
    assert "BGREWRITEAOF" in second.stdout
    assert USER not in second.output
    acts = json.loads(run(own_valkey, tmp_path, "erase", USER, "--yes", "--no-files", "--json").stdout)
    assert (acts["done"], acts["files"]) == (True, [])


async def _record(server: ValkeyServer, folder: Path) -> None:
    async with rig(server, folder) as the:
        await the.recorded()


def test_whose_and_where(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    assert run(own_valkey, tmp_path, "export").exit_code == 2
    nowhere = run(own_valkey, tmp_path, "erase", USER, "--yes")
    assert (nowhere.exit_code, "where the recorder runs" in nowhere.stderr) == (2, True)
    fill(own_valkey, tmp_path)
    keyless = run(own_valkey, tmp_path, "erase", USER, "--yes", YB_MAIL_SECRET="")
    assert (keyless.exit_code, "search.key" in keyless.stderr, "nothing was touched" in keyless.stderr) == (
        1,
        True,
        True,
    )
    assert run(own_valkey, tmp_path, "export", USER, YB_MAIL_SECRET="").exit_code == 1
    away = run(own_valkey, tmp_path, "erase", USER, "--yes", YB_VALKEY_URL="unix:///nowhere/valkey.sock")
    assert (away.exit_code, "nothing was touched" in away.stderr) == (1, True)


def test_a_server_that_is_not_ours_to_command(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    fill(own_valkey, tmp_path)
    client = own_valkey.client()
    client.execute_command("ACL", "SETUSER", "limited", "on", ">word", "~*", "+@all", "-bgrewriteaof")
    client.close()
    limited = f"unix://limited:word@{own_valkey.url.removeprefix('unix://')}"
    run(own_valkey, tmp_path, "erase", USER, "--yes", "--wait", "0", "--no-files")
    asyncio.run(_record(own_valkey, tmp_path))
    refused = run(own_valkey, tmp_path, "erase", USER, "--yes", YB_VALKEY_URL=limited)
    assert (refused.exit_code, "valkey-cli BGREWRITEAOF" in refused.stderr) == (1, True), refused.output
    assert "nothing is left" not in refused.stdout
    assert run(own_valkey, tmp_path, "erase", USER, "--yes", "--no-files", YB_VALKEY_URL=limited).exit_code == 0


def test_a_server_without_an_aof(short_folder: Path, tmp_path: Path) -> None:
    server = ValkeyServer(short_folder)
    server.start("--appendonly", "no")
    try:
        fill(server, tmp_path)
        run(server, tmp_path, "erase", USER, "--yes", "--wait", "0", "--no-files")
        asyncio.run(_record(server, tmp_path))
        done = run(server, tmp_path, "erase", USER, "--yes")
        assert (done.exit_code, "BGSAVE" in done.stdout) == (0, True), done.output
    finally:
        server.stop()
