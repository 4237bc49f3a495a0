"""A DNS with a test's own records: as an object, and as a server that answers over UDP."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from yellowbooks.doctor import DnsAway

Zone = dict[tuple[str, str], list[str]]


class FakeResolver:
    """Answers from `zone`: (type, name) to records as text; a name in `silent` has no answer."""

    def __init__(self, zone: Zone, silent: tuple[str, ...] = ()) -> None:
        self.zone, self.silent = zone, silent
        self.asked: list[tuple[str, str]] = []

    def txt(self, name: str) -> list[str]:
        return self._ask("TXT", name)

    def mx(self, name: str) -> list[tuple[int, str]]:
        pairs = (record.split() for record in self._ask("MX", name))
        return sorted((int(preference), host.rstrip(".")) for preference, host in pairs)

    def addresses(self, name: str) -> list[str]:
        return self._ask("A", name) + self._ask("AAAA", name)

    def names(self, address: str) -> list[str]:
        return self._ask("PTR", address)

    def _ask(self, kind: str, name: str) -> list[str]:
        self.asked.append((kind, name))
        if name in self.silent:
            raise DnsAway(f"{kind} of {name}: Timeout")
        return self.zone.get((kind, name.lower()), [])


@contextlib.contextmanager
def dns_server(zone: Zone) -> Iterator[int]:
    """A server on 127.0.0.1 with these records (names of PTR in full); gives its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0.1)
        stop = threading.Event()
        thread = threading.Thread(target=_serve, args=(listener, zone, stop))
        thread.start()
        yield int(listener.getsockname()[1])
        stop.set()
        thread.join()


def _serve(listener: socket.socket, zone: Zone, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            query, caller = listener.recvfrom(4096)
        except TimeoutError:
            continue
        asked = dns.message.from_wire(query)
        answer = dns.message.make_response(asked)
        answer.flags |= dns.flags.RA
        [question] = asked.question
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        records = zone.get((kind, name), [])
        if records == ["SERVFAIL"]:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif records:
            answer.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", kind, records))
        elif not any(known == name for _, known in zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        listener.sendto(answer.to_wire(), caller)
