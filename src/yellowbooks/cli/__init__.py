"""The command line: each command a few lines; a file a group of them."""

from yellowbooks.cli import (
    completion,
    demo,
    devices,
    dkim,
    dlq,
    doctor,
    drill,
    jobs,
    keys,
    mail,
    privacy,
    reconcile,
    roles,
    suppression,
    tools,
)
from yellowbooks.cli.base import main

__all__ = [
    "completion",
    "demo",
    "devices",
    "dkim",
    "dlq",
    "doctor",
    "drill",
    "jobs",
    "keys",
    "mail",
    "main",
    "privacy",
    "reconcile",
    "roles",
    "suppression",
    "tools",
]
