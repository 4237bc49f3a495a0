"""What stands between the network and the API: deadlines, bounds, and requests that are no requests."""

from yellowbooks.edge.address import sender
from yellowbooks.edge.connection import Connection
from yellowbooks.edge.crowd import Crowd, Limits
from yellowbooks.edge.entrance import Entrance, Rules
from yellowbooks.edge.refusal import REASONS, Refusal

__all__ = ["REASONS", "Connection", "Crowd", "Entrance", "Limits", "Refusal", "Rules", "sender"]
