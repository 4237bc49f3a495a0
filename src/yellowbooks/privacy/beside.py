"""What stands beside the queue and on this machine: devices, summaries, suppression, mails."""

import asyncio
from collections.abc import Callable

import msgspec

from yellowbooks.mail import Inbox, SuppressionList, worded
from yellowbooks.privacy.person import Found, Person
from yellowbooks.signin import Notices
from yellowbooks.views import time as shown_time


class Devices:
    """His devices and networks, as keyed hashes, and the sign-ins that wait to be told in a summary."""

    name = "devices and summaries"
    kept = ""

    def __init__(self, notices: Notices, where: str) -> None:
        self._notices = notices
        self.where = where

    async def find(self, person: Person) -> Found:
        """Raises `ConnectionError`."""
        found = Found()
        if person.user is None:
            return found
        if known := await self._notices.known(person.user):
            found.items.append(msgspec.to_builtins(known) | {"lastSignIn": shown_time(known.last_sign_in)})
        for window, group in await self._notices.waiting(person.user):
            shown = group.parts
            person.job_ids.add(f"summary-{window}")
            found.items.append({
                "summary": f"summary-{window}", "signIns": group.count, "first": shown_time(group.first),
                "last": shown_time(group.last), "browser": shown.browser, "ipAddress": shown.ip_address,
                "provider": shown.provider,
            })  # fmt: skip
        return found

    async def erase(self, person: Person) -> int:
        """Raises `ConnectionError`."""
        addresses = {person.address or "", *person.addresses} - {""}
        if person.user is None:
            return await self._notices.erase("", addresses, person.job_ids)
        return await self._notices.erase(person.user, addresses, person.job_ids)


class Suppressed:
    """How his address stands in the list of those that get no mail."""

    name = "suppression"
    kept = "that an address gets no mail stays, as a keyed hash and without the reason: else it would get some again"

    def __init__(self, suppressions: SuppressionList, where: str) -> None:
        self._list = suppressions
        self.where = where

    async def find(self, person: Person) -> Found:
        """Raises `ConnectionError`."""
        found = Found()
        for address in sorted({person.address or "", *person.addresses} - {""}):
            ref = self._list.ref(address)
            standing = await self._list.show(ref)
            if standing.until or standing.strikes:
                found.items.append({
                    "ref": ref, "cause": standing.cause, "reason": standing.reason,
                    "since": shown_time(round(standing.since * 1000)),
                    "until": shown_time(round(standing.until * 1000)) if standing.until else None,
                    "strikes": len(standing.strikes),
                })  # fmt: skip
        return found

    async def erase(self, person: Person) -> int:
        """The words that somebody wrote go. Raises `ConnectionError`."""
        count = 0
        for address in sorted({person.address or "", *person.addresses} - {""}):
            before, after = await self._list.change(self._list.ref(address), worded("erased"))
            count += before != after
        return count


class KeptMails:
    """The mails to him in this machine's inbox: those of his jobs, and those to his address where it was given."""

    name = "inbox"
    kept = ""

    def __init__(self, inbox: Inbox, name_of: Callable[[str], str], where: str) -> None:
        self._inbox = inbox
        self._name_of = name_of
        self.where = where

    async def find(self, person: Person) -> Found:
        """Each mail with its source. Raises `OSError`."""
        return await asyncio.to_thread(self._find, person)

    async def erase(self, person: Person) -> int:
        """Raises `OSError`."""
        found = (await self.find(person)).items
        for mail in found:
            await asyncio.to_thread(self._inbox.remove, mail["id"])
        return len(found)

    def _find(self, person: Person) -> Found:
        names = {self._name_of(job_id) for job_id in person.job_ids}
        found = Found()
        for entry in self._inbox.about(names, {person.address} if person.address else set()):
            try:
                mail = self._inbox.read(entry.id)
            except KeyError:  # pruned meanwhile
                continue
            received = shown_time(round(entry.received.timestamp() * 1000))
            found.items.append({
                "id": entry.id, "received": received, "to": entry.recipient, "subject": entry.subject,
                "source": mail.source,
            })  # fmt: skip
        return found
