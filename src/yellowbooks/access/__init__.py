"""Who may call: keys that were issued, known by their hashes. It knows no HTTP; how Valkey is asked is handed in."""

from yellowbooks.access.key import ROLES, Given, Record, Secrets, issue_key, issue_signer, make_key, read_key
from yellowbooks.access.ring import Found, Ring
from yellowbooks.access.sessions import Session, Sessions
from yellowbooks.access.store import KeyStore, Listed, TooMany
from yellowbooks.access.throttle import Throttle

__all__ = [
    "ROLES", "Found", "Given", "KeyStore", "Listed", "Record", "Ring", "Secrets", "Session", "Sessions",
    "Throttle", "TooMany", "issue_key", "issue_signer", "make_key", "read_key",
]  # fmt: skip
