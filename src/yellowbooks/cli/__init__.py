"""The command line: each command a few lines; a file a group of them."""

from yellowbooks.cli import mail, roles, tools
from yellowbooks.cli.base import main

__all__ = ["mail", "main", "roles", "tools"]
