"""The servers as they are: a real Valkey, databases, SMTP with and without TLS; and the command over all of it."""

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from click.testing import CliRunner

from tests.conftest import ValkeyServer
from tests.doctor.fake_dns import dns_server
from tests.faults.servers import SERVICE, Node, free_ports, wait_for
from tests.mail.test_smtp import Server
from tests.test_up import free_port
from yellowbooks.cli import main
from yellowbooks.doctor import Line, examine_database, examine_python, examine_smtp, examine_valkey
from yellowbooks.doctor.servers import _fitness, _version
from yellowbooks.joblog import JobLog
from yellowbooks.mail import SmtpServer, make_key
from yellowbooks.settings import NAMES


def levels(lines: Iterator[Line] | list[Line]) -> list[tuple[str, str]]:
    return [(line.check, line.level) for line in lines]


def test_a_valkey_as_up_starts_it_is_well(valkey: ValkeyServer) -> None:
    assert levels(examine_valkey(valkey.url)) == [("Valkey", "ok"), ("fitness", "ok")]


def test_a_valkey_that_evicts_or_forgets(own_valkey: ValkeyServer) -> None:
    client = own_valkey.client()
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("appendfsync", "no")
    assert levels(examine_valkey(own_valkey.url)) == [("Valkey", "ok"), ("fitness", "FAIL")]
    client.config_set("maxmemory-policy", "noeviction")
    assert levels(examine_valkey(own_valkey.url)) == [("Valkey", "ok"), ("fitness", "warn")]
    client.config_set("appendonly", "no")
    [_, line] = examine_valkey(own_valkey.url)
    assert (line.level, line.next) == ("warn", "set appendonly yes and appendfsync always")
    client.close()
    own_valkey.kill()
    [line] = examine_valkey(own_valkey.url)
    assert (line.level, "start it" in line.next) == ("FAIL", True)
    assert [line.level for line in examine_valkey("http://x")] == ["FAIL"]


def test_a_valkey_behind_a_sentinel_and_the_node_of_a_cluster(short_folder: Path) -> None:
    ports = free_ports(4)
    primary = Node(short_folder, ports[0])
    sentinel = Node(short_folder, ports[1], sentinel=f"sentinel monitor {SERVICE} 127.0.0.1 {ports[0]} 1\n")
    node = Node(short_folder, ports[2], "--cluster-enabled", "yes", "--cluster-port", str(ports[3]))
    try:
        for one in (primary, sentinel, node):
            one.start()
        node.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        url = f"valkey+sentinel://{sentinel.address}/{SERVICE}"
        assert levels(examine_valkey(url)) == [("Valkey", "ok"), ("fitness", "ok")]
        primary.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        assert levels(examine_valkey(url)) == [("Valkey", "ok"), ("fitness", "FAIL")]
        url = f"valkey+cluster://{node.address}"
        wait_for(lambda: levels(examine_valkey(url)) == [("Valkey", "ok"), ("fitness", "ok")], "the cluster is not ok")
    finally:
        for one in (primary, sentinel, node):
            one.kill()


@pytest.mark.parametrize(
    ("info", "level"),
    [
        ({"valkey_version": "9.1.1"}, "ok"), ({"valkey_version": "9.1.0"}, "FAIL"), ({"valkey_version": "9.0.5"}, "ok"),
        ({"valkey_version": "9.0.4"}, "FAIL"), ({"valkey_version": "8.1.9"}, "ok"), ({"valkey_version": "8.1.8"}, "FAIL"),
        ({"valkey_version": "8.0.10"}, "ok"), ({"valkey_version": "8.0.9"}, "FAIL"), ({"valkey_version": "7.2.11"}, "warn"),
        ({"valkey_version": "9.2.0"}, "ok"), ({"valkey_version": "10.0.0"}, "ok"), ({"redis_version": "6.2.14"}, "FAIL"),
        ({"redis_version": "7.0.0"}, "ok"), ({"redis_version": "8.2.1"}, "ok"),
        ({"valkey_version": "9.1.2", "redis_version": "7.2.4"}, "ok"),
    ],
)  # fmt: skip
def test_floors(info: dict[str, str], level: str) -> None:
    line = _version(info)
    assert line.level == level
    assert level == "ok" or line.next


@pytest.mark.parametrize(
    ("info", "fsync", "level"),
    [
        ({"aof_enabled": 1}, "always", "ok"), ({"aof_enabled": 1}, "everysec", "ok"), ({"aof_enabled": 1}, "no", "warn"),
        ({"aof_enabled": 1}, "unknown", "ok"), ({"aof_enabled": 0}, "always", "warn"),
        ({"aof_enabled": 1, "aof_last_write_status": "err"}, "always", "FAIL"),
    ],
)  # fmt: skip
def test_durability(info: dict[str, Any], fsync: str, level: str) -> None:
    assert [line.level for line in _fitness(info | {"valkey_version": "9.1.2"}, fsync)] == [level]


@pytest.mark.parametrize(
    ("version", "level"),
    [((3, 11, 7), "warn"), ((3, 11, 10), "ok"), ((3, 12, 4), "warn"), ((3, 12, 5), "ok"), ((3, 13, 0), "ok"), ((3, 14, 2), "ok")],
)  # fmt: skip
def test_python(version: tuple[int, int, int], level: str) -> None:
    assert examine_python(version).level == level


def test_a_database_before_and_after_its_migration(database_url: str, tmp_path: Path) -> None:
    assert examine_database(database_url).level == "warn"
    assert not (tmp_path / "log.sqlite3").exists()
    log = JobLog(database_url)
    log.migrate()
    assert examine_database(database_url).level == "ok"
    with log._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    log.close()
    assert examine_database(database_url).level == "FAIL"


def test_a_database_that_is_away_or_is_none() -> None:
    assert examine_database("postgresql://u:p@127.0.0.1:1/x").level == "FAIL"
    assert examine_database("mysql://x/y").level == "FAIL"


@pytest.fixture
def smtp(tmp_path: Path) -> Iterator[tuple[str, str, Server]]:
    """A server with TLS and login; its `localhost:port`, its authority and what it saw."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(context)
    seen = Server()

    def login(_server: Any, _session: Any, _envelope: Any, _mechanism: Any, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"bat", b"secret")
        return AuthResult(success=right, handled=False)

    controller = Controller(
        seen, hostname="127.0.0.1", port=free_port(), tls_context=context, authenticator=login, auth_required=True,
    )  # fmt: skip
    controller.start()
    yield f"localhost:{controller.port}", str(tmp_path / "ca.pem"), seen
    time.sleep(0.05)  # its loop sees the end of what the client has closed
    controller.stop()


def test_d6_smtp_with_tls_and_login_sends_no_mail(smtp: tuple[str, str, Server]) -> None:
    where, ca, seen = smtp
    lines = list(examine_smtp(SmtpServer.parse(f"smtp://bat:secret@{where}?cafile={ca}"), "mail.example.mn"))
    assert levels(lines) == [("SMTP", "ok"), ("SMTP", "ok")]
    assert "TLSv1.3" in lines[0].found
    assert seen.steps == []


@pytest.mark.parametrize(
    ("url", "level", "next_step"),
    [
        ("smtp://bat:wrong@{where}?cafile={ca}", "FAIL", "user and password"),
        ("smtp://bat:secret@{where}", "FAIL", "?cafile="),
        ("smtp://localhost:1?starttls=never", "FAIL", "start it"),
        ("smtp://{where}?starttls=never", "warn", "starttls=required"),
    ],
)
def test_d6_what_is_wrong_with_a_server(smtp: tuple[str, str, Server], url: str, level: str, next_step: str) -> None:
    lines = list(examine_smtp(SmtpServer.parse(url.format(where=smtp[0], ca=smtp[1])), "mail.example.mn"))
    assert level in [line.level for line in lines]
    assert any(next_step in line.next for line in lines)
    assert "secret" not in str(lines)


@pytest.fixture
def settings(
    valkey: ValkeyServer, smtp: tuple[str, str, Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole set-up, in the environment."""
    make_key("mail2026", tmp_path / "key.pem", "ed25519")
    where, ca, _ = smtp
    values = {
        "YB_VALKEY_URL": valkey.url, "YB_DATABASE_URL": f"sqlite:///{tmp_path}/log.sqlite3", "YB_DATA_DIR": str(tmp_path),
        "YB_SMTP_URL": f"smtp://bat:secret@{where}?cafile={ca}", "YB_MAIL_FROM": "no-reply@yellowbooks.mn",
        "YB_MAIL_SECRET": "a-secret-of-this-test", "YB_DKIM": f"mail2026:{tmp_path}/key.pem",
    }  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    log = JobLog(values["YB_DATABASE_URL"])
    log.migrate()
    log.close()


def test_d1_to_d9_the_command_over_a_whole_set_up(settings: None, tmp_path: Path) -> None:
    from yellowbooks.mail import Key

    record = Key.read("mail2026", tmp_path / "key.pem").record()
    zone = {
        ("MX", "yellowbooks.mn"): ["10 mx.yellowbooks.mn."], ("A", "mx.yellowbooks.mn"): ["203.0.113.5"],
        ("TXT", "yellowbooks.mn"): ['"v=spf1 ip4:203.0.113.9 -all"'],
        ("TXT", "mail2026._domainkey.yellowbooks.mn"): [f'"{record}"'],
        ("TXT", "_dmarc.yellowbooks.mn"): ['"v=DMARC1; p=reject; rua=mailto:a@yellowbooks.mn"'],
        ("PTR", "9.113.0.203.in-addr.arpa"): ["mx2.yellowbooks.mn."], ("A", "mx2.yellowbooks.mn"): ["203.0.113.9"],
    }  # fmt: skip
    with dns_server(zone) as port:
        words = ["doctor", "--sends-from", "203.0.113.9", "--dns", f"127.0.0.1#{port}"]
        plain = CliRunner().invoke(main, words)
        zone[("TXT", "_dmarc.yellowbooks.mn")] = []
        asked = CliRunner().invoke(main, [*words, "--json"])
    assert plain.exit_code == 0, plain.output
    lines = plain.output.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("ok")] == [
        *(["Python"] if examine_python().level == "ok" else []), "Valkey", "fitness", "database",
        "SMTP", "SMTP", "MX", "SPF", "DKIM", "DMARC", "PTR",
    ]  # fmt: skip
    assert asked.exit_code == 1
    told = json.loads(asked.output)
    assert told["ok"] is False
    [failed] = [line for line in told["checks"] if line["level"] == "FAIL"]
    assert (failed["check"], failed["next"].startswith("publish «_dmarc.yellowbooks.mn TXT")) == ("DMARC", True)


def test_a_key_that_others_can_read_and_a_secret_that_is_missing(
    settings: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key.pem").chmod(0o644)
    monkeypatch.setenv("YB_MAIL_SECRET", "")
    with dns_server({("MX", "yellowbooks.mn"): ["0 ."]}) as port:
        result = CliRunner().invoke(main, ["doctor", "--dns", f"127.0.0.1#{port}"])
    assert result.exit_code == 1
    assert f"chmod 600 {tmp_path}/key.pem" in result.output
    assert "YB_MAIL_SECRET is not set" in result.output
    assert "null MX" in result.output


def test_addresses_that_are_none_are_refused() -> None:
    for words in (["--sends-from", "x"], ["--dns", "localhost"]):
        result = CliRunner().invoke(main, ["doctor", *words])
        assert (result.exit_code, "is no IP address" in result.output) == (2, True)
