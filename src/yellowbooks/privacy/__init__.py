"""A person's data: what every part holds about him, handed out or taken, and looked for again."""

from yellowbooks.privacy.act import Erasure, Seen, as_json, erase, gather
from yellowbooks.privacy.beside import Devices, KeptMails, Suppressed
from yellowbooks.privacy.files import rewrite_files
from yellowbooks.privacy.logged import LoggedJobs, Trail
from yellowbooks.privacy.person import Found, NotYet, Part, Person
from yellowbooks.privacy.queued import QueuedJobs
from yellowbooks.privacy.spooled import SpooledJobs

__all__ = [
    "Devices", "Erasure", "Found", "KeptMails", "LoggedJobs", "NotYet", "Part", "Person", "QueuedJobs", "Seen",
    "SpooledJobs", "Suppressed", "Trail", "as_json", "erase", "gather", "rewrite_files",
]  # fmt: skip
