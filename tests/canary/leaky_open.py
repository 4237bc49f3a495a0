"""The planted leak: the same kind, which says that nothing of it is private."""

from collections.abc import Iterable
from dataclasses import replace

from tests.canary.leaky import KIND as SHY
from tests.canary.leaky import Leaky


class Open(Leaky):
    """Nothing is private, by mistake."""

    def private(self) -> Iterable[str]:
        """Nothing."""
        return ()


KIND = replace(SHY, payload=Open)
