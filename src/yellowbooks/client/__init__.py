"""What a web app imports: a sign-in is handed over in microseconds, and is sent, or kept on disk and sent later.

Needs the standard library alone. The hooks for frameworks are `yellowbooks.client.django`, `.flask` and `.starlette`.
"""

from yellowbooks.client.address import client_ip
from yellowbooks.client.aio import AsyncClient
from yellowbooks.client.client import Client, Receipt, State

__all__ = ["AsyncClient", "Client", "Receipt", "State", "client_ip"]
