"""Runs one fault on a Valkey of its own, AOF always."""

import tempfile
from pathlib import Path

from tests.conftest import ValkeyServer
from tests.faults.campaign import FAULTS
from tests.faults.rig import LEASE, Rig, Tally
from yellowbooks.jobs import Queue


async def run(name: str, size: int) -> Tally:
    """Hurt, heal, drain, check. Raises `AssertionError` where a promise was broken or the fault never fired."""
    with tempfile.TemporaryDirectory(prefix="yb") as path:
        folder = Path(path)
        valkey = ValkeyServer(folder)
        valkey.start()
        rig = Rig(folder, size, valkey, Queue(valkey.url, lease=LEASE))
        try:
            await FAULTS[name](rig)
            await rig.drain()
            return await rig.check()
        except BaseException:
            print((folder / "workers.log").read_text()[-3000:] if (folder / "workers.log").exists() else "")
            raise
        finally:
            for process in rig.workers:
                process.kill()
                process.wait()
            await rig.queue.close()
            valkey.stop()
