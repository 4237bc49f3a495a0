"""Numbers of the whole system: counted once from the engine's events, kept beside the queue, shown to Prometheus."""

from yellowbooks.metrics.behind import lag
from yellowbooks.metrics.breakers import Breakers
from yellowbooks.metrics.fold import Fold, Moments, Tally
from yellowbooks.metrics.page import Page
from yellowbooks.metrics.refusals import Refusals
from yellowbooks.metrics.store import Store, recent
from yellowbooks.metrics.teller import CountedSource, Teller
from yellowbooks.metrics.text import CONTENT_TYPES, Family, render

__all__ = [
    "CONTENT_TYPES",
    "Breakers",
    "CountedSource",
    "Family",
    "Fold",
    "Moments",
    "Page",
    "Refusals",
    "Store",
    "Tally",
    "Teller",
    "lag",
    "recent",
    "render",
]
