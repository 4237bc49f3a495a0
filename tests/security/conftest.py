"""The whole API over a Valkey of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import ValkeyServer
from tests.security.whole import Whole, whole


@pytest.fixture
async def api(own_valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole(own_valkey.url, tmp_path) as found:
        yield found
