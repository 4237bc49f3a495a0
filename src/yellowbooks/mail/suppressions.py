"""Addresses that get no mail any more: what a sender asks before a mail, and says after a reply."""

from typing import Protocol


class Suppressions(Protocol):
    """The list of addresses that get no mail. Whoever sends asks first, and says what a server's reply taught.

    An address is as it stands in the envelope; an implementation folds its case and keeps no more of it than it needs.
    """

    async def suppressed(self, address: str) -> str | None:
        """Why this address gets no mail, or None where it gets some."""
        ...

    async def suppress(self, address: str, reason: str) -> None:
        """A server said that there is no such recipient (RFC 3463: 5.1.1, 5.1.10, 5.2.1; RFC 7504: 556)."""
        ...

    async def strike(self, address: str, reason: str) -> None:
        """A server said that the recipient takes nothing at present (5.2.2, 5.3.4); several of these may suppress."""
        ...

    async def delivered(self, address: str) -> None:
        """A server took a mail for this address; what was said before is past."""
        ...


class NoSuppressions:
    """Every address gets mail, and nothing is remembered."""

    async def suppressed(self, address: str) -> str | None:  # noqa: ARG002  the arguments are the protocol's
        """None."""
        return None

    async def suppress(self, address: str, reason: str) -> None:
        """Nothing."""

    async def strike(self, address: str, reason: str) -> None:
        """Nothing."""

    async def delivered(self, address: str) -> None:
        """Nothing."""
