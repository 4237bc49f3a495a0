"""Fuzzing whatever reads what others wrote: targets, a run of one, and bugs that are planted to see it find them."""

import contextlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st


@dataclass(frozen=True, slots=True)
class Bug:
    """A line of our code made wrong: in `owner.name` the text `old` is replaced by `new`."""

    owner: Any
    name: str
    old: str
    new: str

    @contextlib.contextmanager
    def planted(self) -> Iterator[None]:
        """The bug is there as long as this lasts."""
        found = inspect.getattr_static(self.owner, self.name)
        function = inspect.unwrap(getattr(found, "__func__", found))
        assert isinstance(function, FunctionType)
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(self.old) == 1, f"{self.name} has no single «{self.old}» any more; plant the bug anew"
        made: dict[str, Any] = {}
        exec(
            compile(source.replace(self.old, self.new), function.__code__.co_filename, "exec"),
            function.__globals__,
            made,
        )
        _forget(function)
        with mock.patch.object(self.owner, self.name, made[function.__name__]):  # with its decorators
            yield
        _forget(function)


def _forget(function: FunctionType) -> None:
    """What its module keeps of earlier answers."""
    for one in function.__globals__.values():
        if hasattr(one, "cache_clear"):
            one.cache_clear()


@dataclass(frozen=True, slots=True)
class Target:
    """What is fuzzed: `check` raises where an input is dealt with wrongly. `cost` divides how many inputs it gets."""

    name: str
    inputs: st.SearchStrategy[Any]
    check: Callable[[Any], None]
    bugs: tuple[Bug, ...] = ()
    cost: int = 1


@dataclass(slots=True)
class Tried:
    """How many inputs a target got, and what was wrong with one of them."""

    inputs: int = 0
    fault: str = ""
    example: Any = field(default=None, repr=False)


def fuzz(target: Target, examples: int, number: int, *, shrink: bool = False) -> Tried:
    """Try so many inputs; the same number makes the same inputs. Ends at the first that is dealt with wrongly."""
    tried = Tried()
    phases = [Phase.generate, *([Phase.shrink] if shrink else [])]

    @seed(number)
    @settings(
        max_examples=max(1, examples // target.cost), database=None, deadline=None, phases=phases,
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False, print_blob=False,
    )  # fmt: skip
    @given(target.inputs)
    def run(value: Any) -> None:
        tried.inputs += 1
        tried.example = value
        target.check(value)

    try:
        run()
    except Exception as error:
        tried.fault = f"{type(error).__name__}: {error}"[:500]
    return tried


def hurt(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Good bytes, cut, with bits flipped, bytes put in or taken out; and bytes that never were good."""
    changes = st.lists(st.tuples(st.sampled_from("cfid"), st.integers(0, 4096), st.binary(max_size=6)), max_size=4)

    def change(data: bytes, steps: list[tuple[str, int, bytes]]) -> bytes:
        for step, where, more in steps:
            at = where % (len(data) + 1)
            if step == "c":
                data = data[:at]
            elif step == "f" and at < len(data):
                data = data[:at] + bytes([data[at] ^ (1 << (more[0] % 8 if more else 0))]) + data[at + 1 :]
            elif step == "i":
                data = data[:at] + more + data[at:]
            else:
                data = data[:at] + data[at + len(more) :]
        return data

    return st.builds(change, whole, changes) | st.binary(max_size=200)
