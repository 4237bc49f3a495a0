"""The text that Prometheus reads: exposition format 0.0.4, or OpenMetrics 1.0 for who asks for it. Pure.

https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPES = {
    False: "text/plain; version=0.0.4; charset=utf-8",
    True: "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
Labels = Mapping[str, str]


@dataclass(slots=True)
class Family:
    """Samples of one name. That of a counter has no `_total`, which its samples get; `help` is one line."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    samples: list[tuple[str, Labels, float]] = field(default_factory=list)

    def add(self, value: float, **labels: str) -> None:
        """One sample of a counter or a gauge."""
        self.samples.append(("_total" if self.type == "counter" else "", labels, value))

    def histogram(self, edges: tuple[float, ...], counts: list[int], total: float, **labels: str) -> None:
        """`counts` has how many were at most each edge, and at its end how many there are; `total` is their sum."""
        for edge, count in zip((*map(_number, edges), "+Inf"), counts, strict=True):
            self.samples.append(("_bucket", labels | {"le": edge}, count))
        self.samples += [("_count", labels, counts[-1]), ("_sum", labels, total)]


def render(families: Iterable[Family], *, openmetrics: bool) -> str:
    """The page."""
    lines = [line for family in families for line in _lines(family, openmetrics)]
    return "\n".join([*lines, "# EOF"] if openmetrics else lines) + "\n"


def _lines(family: Family, openmetrics: bool) -> Iterator[str]:
    name = family.name + ("_total" if family.type == "counter" and not openmetrics else "")
    yield f"# HELP {name} {_escaped(family.help)}"
    yield f"# TYPE {name} {family.type}"
    for suffix, labels, value in family.samples:
        pairs = ",".join(f'{key}="{_escaped(text, quote=True)}"' for key, text in labels.items())
        yield (
            f"{family.name}{suffix}{{{pairs}}} {_number(value)}" if pairs else f"{family.name}{suffix} {_number(value)}"
        )


def _escaped(text: str, *, quote: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text


def _number(value: float) -> str:
    return repr(float(value))
