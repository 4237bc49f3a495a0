"""OPTIONS names every method of a path, and no more."""

from litestar import Litestar
from litestar.types import Message, Scope


async def answer_methods(message: Message, scope: Scope) -> None:
    """Put all methods of the path into Allow (RFC 9110, section 10.2.1).

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
