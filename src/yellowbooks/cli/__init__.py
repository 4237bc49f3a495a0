"""The command line: each command a few lines; a file a group of them."""

from yellowbooks.cli import roles, tools
from yellowbooks.cli.base import main

__all__ = ["main", "roles", "tools"]
