"""What counts and what shows the counts."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from yellowbooks import __version__, signin
from yellowbooks.mail import SmtpServer
from yellowbooks.observe import Tell
from yellowbooks.settings import Settings

if TYPE_CHECKING:
    from yellowbooks.jobs import Kind, Queue
    from yellowbooks.metrics import Breakers, CountedSource, Family, Page, Refusals, Teller

MAIL_TAG = "{yb:mail}"


def counted(part: "Queue", tell: Tell) -> tuple["CountedSource", "Teller"]:
    """A recorder's source whose events are counted on their way, and what counts them while no recorder reads."""
    from yellowbooks.metrics import CountedSource, Teller

    teller = Teller(part, signin.ambiguous, lambda trouble: tell("failed", error=trouble))
    return CountedSource(part, teller), teller


def metrics_page(
    settings: Settings, queue: "Queue", kinds: Sequence["Kind[Any]"], here: Callable[[], list["Family"]]
) -> tuple["Page", "Refusals"]:
    """The page of `/metrics`, and what counts the requests that this process refuses; `here`: what it alone knows."""
    from yellowbooks.metrics import Page, Refusals

    refusals = Refusals(queue)
    page = Page(
        queue,
        kinds=[kind.name for kind in kinds],
        servers=[str(SmtpServer.parse(url)) for url in settings.smtp_url],
        execute=queue.beside(MAIL_TAG).execute,
        version=__version__,
        ambiguous=signin.AMBIGUOUS_TOTAL,
        before=refusals.add,
        here=here,
    )
    return page, refusals


def breakers(queue: "Queue", tell: Tell) -> tuple["Breakers", Tell]:
    """What keeps a worker's open breakers known, and a `tell` that it hears."""
    from yellowbooks.metrics import Breakers

    heard = Breakers(queue.beside(MAIL_TAG).execute, queue.id)

    def tell_both(word: str, **fields: Any) -> None:
        heard.hear(word, **fields)
        tell(word, **fields)

    return heard, tell_both
