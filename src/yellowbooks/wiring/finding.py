"""The secret that the search keys of jobs are hashed with."""

import hashlib
import os
import secrets
from functools import lru_cache
from pathlib import Path

from yellowbooks.settings import Settings

FILE = "search.key"


def search_secret(settings: Settings) -> bytes:
    """From YB_MAIL_SECRET, else kept in the data folder, which the processes of one machine share; b"" without both."""
    if settings.mail_secret:
        return hashlib.blake2b(settings.mail_secret.encode(), person=b"yb-search", digest_size=32).digest()
    return kept_secret(settings.data_dir / FILE)


@lru_cache(maxsize=8)
def kept_secret(path: Path) -> bytes:
    """The bytes of the file, made where it is missing; who comes second takes those of the first. b"" where it cannot
    be made."""
    try:
        if not path.exists():
            draft = path.with_suffix(f".{os.getpid()}.tmp")
            draft.touch(mode=0o600)
            draft.write_bytes(secrets.token_bytes(32))
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path.read_bytes()
    except OSError:
        return b""
