"""The short form of `python -m tests.fuzz`: each operation at the bounds of its schema, as an operator."""

from tests.fuzz.api import ROLES, fuzz, system


def test_the_api_does_what_its_document_says() -> None:
    with system() as running:
        found = fuzz(running, "operator", examples=1, seed=1, phases=["coverage"], seconds=6)
    assert found.server_errors == 0, found.lines
    assert found.failures == 0, found.lines
    assert found.cases > 50


def test_every_role_is_fuzzed() -> None:
    assert {"nobody", "caller", "operator"} <= set(ROLES)
