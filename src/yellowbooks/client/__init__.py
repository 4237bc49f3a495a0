"""What a web app imports: a sign-in is handed over in microseconds, and is sent, or kept on disk and sent later.

Needs the standard library alone. The hooks for frameworks are `yellowbooks.client.django`, `.flask` and `.starlette`.
"""

from typing import TYPE_CHECKING, Any

from yellowbooks.client.address import client_ip
from yellowbooks.client.client import Client, Receipt, State

if TYPE_CHECKING:
    from yellowbooks.client.aio import AsyncClient

__all__ = ["AsyncClient", "Client", "Receipt", "State", "client_ip"]


def __getattr__(name: str) -> Any:
    """`AsyncClient` when it is asked for: an app without an event loop does not pay for asyncio."""
    if name == "AsyncClient":
        from yellowbooks.client.aio import AsyncClient  # noqa: PLC0415  as the sentence above says

        return AsyncClient
    raise AttributeError(f"yellowbooks.client has no {name}")
