"""The command line: each command a few lines; a file a group of them."""

from yellowbooks.cli import dkim, doctor, mail, roles, suppression, tools
from yellowbooks.cli.base import main

__all__ = ["dkim", "doctor", "mail", "main", "roles", "suppression", "tools"]
