"""A real API process over a real Valkey, for raw sockets."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import ValkeyServer, running_valkey
from tests.test_up import System, free_port

Start = Callable[..., "Api"]


class Api(System):
    """One `yellowbooks api`."""

    def __init__(self, **settings: str) -> None:
        self.port = free_port()
        super().__init__("api", **{"YB_PORT": str(self.port), "YB_LOG_FORMAT": "json", **settings})
        self.read_until('"ready"', 90)


@contextmanager
def api(valkey: ValkeyServer, **settings: str) -> Iterator[Api]:
    """One API with a data folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="yb"))
    system = Api(YB_VALKEY_URL=valkey.url, YB_DATA_DIR=str(folder), **settings)
    try:
        yield system
    finally:
        if system.process.poll() is None:
            system.process.kill()
            system.process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def edge_valkey() -> Iterator[ValkeyServer]:
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="session")
def port(edge_valkey: ValkeyServer) -> Iterator[int]:
    """An API with the defaults."""
    with api(edge_valkey) as one:
        yield one.port


@pytest.fixture
def start(edge_valkey: ValkeyServer) -> Iterator[Start]:
    """Starts APIs with settings, and ends them."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(api(edge_valkey, **settings))
