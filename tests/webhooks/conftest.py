"""The API in-process, as its own tests have it."""

from tests.api.conftest import api

__all__ = ["api"]
