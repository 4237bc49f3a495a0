"""The parts that may hold something about a person, over the settings of one machine."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from yellowbooks import signin
from yellowbooks.jobs import Backoff, Kind, Payload, parts_of
from yellowbooks.mail import name_of
from yellowbooks.settings import Settings, SettingsError
from yellowbooks.wiring.finding import FILE, search_secret
from yellowbooks.wiring.log import database_url
from yellowbooks.wiring.mail import MAIL_TAG, mail_secret, open_inbox, suppression_list
from yellowbooks.wiring.notices import NOTICES, device_memory
from yellowbooks.wiring.queue import kinds, make_seal, open_queue, sealed, sign_in_finder

if TYPE_CHECKING:  # it brings SQLAlchemy, which no role that idles may hold
    from yellowbooks import privacy


def every_kind(settings: Settings) -> list[Kind[Any]]:
    """The kinds that the API takes, and those that we make ourselves, whatever is switched on now: to read payloads."""
    from yellowbooks.notme import not_me_kind

    ours: list[Kind[Any]] = [
        signin.summary_kind(
            backoff=Backoff(*settings.retry), wait=0.0, channel=signin.CHANNEL, seal=make_seal(settings)
        ),
        not_me_kind(),
    ]
    return [*kinds(settings), *sealed(settings, ours)]


@dataclass(frozen=True, slots=True)
class Holdings:
    """Every part that may hold something, in the order in which they are looked at; the job log is the last.

    `ways` lead to each server of theirs: in a cluster, what stands beside the queue may be on another node.
    """

    parts: "list[privacy.Part]"
    trail: "privacy.Trail"
    ways: list[Callable[..., Awaitable[Any]]]


@asynccontextmanager
async def holdings(settings: Settings, patience: float) -> AsyncIterator[Holdings]:
    """Open them, for the time of a command; `patience` (s) is what each may wait for. Raises `SettingsError`."""
    from yellowbooks import privacy
    from yellowbooks.joblog import JobLog

    place = "in the queue's server"
    _has_log(settings)
    try:
        log = JobLog(database_url(settings))
    except ValueError as error:
        raise SettingsError(f"YB_DATABASE_URL: {error}") from None
    queue, known = open_queue(settings), every_kind(settings)
    where = "the database of YB_DATABASE_URL" if settings.database_url else str(settings.data_dir / "joblog.sqlite3")
    rows = privacy.LoggedJobs(log, queue, known, lambda person: _keys(settings, person), where, patience)
    trail = privacy.Trail(rows, log, lambda: _secret(settings), where)
    # Devices are forgotten also where YB_NOTIFY is not set any more.
    notices = device_memory(replace(settings, notify=settings.notify or "every"), queue)
    beside = [queue.beside(tag) for tag in (MAIL_TAG, f"{{yb:{NOTICES}}}")]
    ways: list[Callable[..., Awaitable[Any]]] = [
        link.execute for link in (*(part.link for part in parts_of(queue)), *beside)
    ]
    parts: list[privacy.Part] = [
        privacy.SpooledJobs(settings.data_dir / "spool", known, patience),
        privacy.QueuedJobs(queue, known, lambda payload, person: _spare(notices, payload, person), place, patience),
        *([privacy.Devices(notices, place)] if notices else []),
        privacy.Suppressed(suppression_list(settings, queue), place),
        privacy.KeptMails(
            open_inbox(settings),
            lambda job_id: name_of(job_id, mail_secret(settings)),
            str(settings.data_dir / "inbox"),
        ),
        trail,
        rows,
    ]
    try:
        yield Holdings(parts, trail, ways)
    finally:
        log.close()
        await queue.close()


async def _spare(notices: signin.Notices | None, payload: Payload, person: "privacy.Person") -> Payload | None:
    """A summary goes to an address: who shares it is told of his own sign-ins all the same."""
    if not isinstance(payload, signin.Summary) or person.user is None or person.address is not None or not notices:
        return None
    if not await notices.shared(payload.window, person.user):
        return None
    return msgspec.structs.replace(payload, user_id="") if payload.user_id == person.user else payload


def find_person(user: str | None, address: str | None) -> "privacy.Person":
    """Whom somebody means who names a user's id, an address, or both."""
    from yellowbooks import privacy

    return privacy.Person(user, signin.reached(address) if address else None)


def _has_log(settings: Settings) -> None:
    path = settings.data_dir / "joblog.sqlite3"
    if not settings.database_url and not path.exists():
        raise SettingsError(
            f"YB_DATABASE_URL: is not set, and there is no job log in {settings.data_dir}, so what it holds would be "
            "passed over; run this where the recorder runs, with its YB_DATA_DIR, or set YB_DATABASE_URL"
        )


def _secret(settings: Settings) -> bytes:
    """What keys the search. Raises `LookupError` where it is not here: a new one would find nothing."""
    if not settings.mail_secret and not (settings.data_dir / FILE).exists():
        raise LookupError(
            f"the job log goes by hashes whose key is not here; set YB_MAIL_SECRET, or bring {FILE} of the API's "
            "YB_DATA_DIR into this one"
        )
    return search_secret(settings)


def _keys(settings: Settings, person: "privacy.Person") -> Collection[str]:
    if not _secret(settings):
        raise LookupError(f"{settings.data_dir / FILE} cannot be read; see to its rights")
    finder = sign_in_finder(settings)
    found = set(finder.keys_of(person.user, person.address))
    for kind in kinds(settings)[1:]:
        if kind.finder:
            found.update(key for text in person.wanted.values() for _, key in kind.finder.sought(text))
    return found
