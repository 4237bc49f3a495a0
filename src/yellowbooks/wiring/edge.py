"""The edge's bounds from the settings."""

import resource

from yellowbooks.edge import Limits
from yellowbooks.settings import Settings

OTHER_FILES = 48  # descriptors for all that is no connection of a client: servers, the disk, libraries
MOST_FILES = 1_048_576


def limits(settings: Settings) -> Limits:
    """What connections may cost; no more of them than the system lets this process have files."""
    return Limits(
        receive=settings.receive,
        idle=settings.idle,
        connections=max(1, min(settings.most_connections, _files() - OTHER_FILES)),
        address_connections=settings.address_connections,
    )


def _files() -> int:
    """How many files this process may have open, after it took all that it may take. (getrlimit(2).)"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return MOST_FILES if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
