"""The doctor: looks at the set-up from outside, and says what is wrong and what to do next. It changes nothing."""

from yellowbooks.doctor.dns import DnsAway, Resolver, SystemResolver
from yellowbooks.doctor.domain import MailDomain, examine_domain
from yellowbooks.doctor.line import Line
from yellowbooks.doctor.servers import examine_database, examine_python, examine_smtp, examine_valkey

__all__ = [
    "DnsAway",
    "Line",
    "MailDomain",
    "Resolver",
    "SystemResolver",
    "examine_database",
    "examine_domain",
    "examine_python",
    "examine_smtp",
    "examine_valkey",
]
