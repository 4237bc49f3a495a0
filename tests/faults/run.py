"""Runs one fault on a Valkey of its own, AOF always."""

import tempfile
from pathlib import Path

from tests.conftest import ValkeyServer
from tests.faults import disk, failover  # noqa: F401  its faults enter themselves
from tests.faults.campaign import FAULTS, LOSING
from tests.faults.rig import LEASE, Rig, Tally
from yellowbooks.jobs import Queue


async def run(name: str, size: int) -> Tally:
    """Hurt, heal, drain, check. Raises `AssertionError` where a promise was broken or the fault never fired."""
    with tempfile.TemporaryDirectory(prefix="yb") as path:
        folder = Path(path)
        valkey = ValkeyServer(folder)
        valkey.start()
        rig = Rig(folder, size, valkey, Queue(valkey.url, lease=LEASE), loses=name in LOSING)
        try:
            await FAULTS[name](rig)
            await rig.drain(3.0 if rig.loses else 60.0)
            return await rig.check()
        except BaseException:
            print((folder / "workers.log").read_text()[-3000:] if (folder / "workers.log").exists() else "")
            raise
        finally:
            for process in rig.workers:
                process.kill()
                process.wait()
            await rig.queue.close()
            await rig.stack.aclose()
            valkey.stop()
            for end in rig.at_end:
                end()
