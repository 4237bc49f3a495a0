"""What every answer gets, whoever made it."""

from litestar import Litestar
from litestar.types import Message, Scope

# An answer of the API is data: no browser is to show it as a page, guess its type, keep it, or say where it came from.
# A page of ours has headers of its own, which stand.
DATA_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


async def answer_safely(message: Message, _scope: Scope) -> None:
    """Put in what the answer does not say itself (OWASP API Security 2023, API8)."""
    if message["type"] == "http.response.start":
        headers = list(message.get("headers", ()))
        given = {name.lower() for name, _ in headers}
        message["headers"] = headers + [one for one in DATA_HEADERS if one[0] not in given]


async def answer_methods(message: Message, scope: Scope) -> None:
    """Put all methods of the path into the Allow of OPTIONS (RFC 9110, section 10.2.1).

    The framework makes its answer when the first handler of a path is registered, and then knows no other method.
    """
    if message["type"] != "http.response.start" or scope.get("method") != "OPTIONS" or message["status"] != 204:
        return
    path, app = scope.get("path_template"), scope.get("litestar_app")
    if path is None or not isinstance(app, Litestar):
        return
    methods = {method for route in app.routes if route.path_format == path for method in route.methods}
    headers = [(name, value) for name, value in message.get("headers", ()) if name.lower() != b"allow"]
    message["headers"] = [*headers, (b"allow", ", ".join(sorted(methods)).encode())]
