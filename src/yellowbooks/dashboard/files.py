"""What the pages load: one style sheet, plain modules and the words. Their address changes with their content."""

import hashlib
import json
from functools import cache
from importlib.resources import files

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from yellowbooks.dashboard.headers import FILE_HEADERS
from yellowbooks.dashboard.words import LANGUAGES, Words

TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@cache
def contents() -> dict[str, str]:
    """Every file by its name."""
    folder = files("yellowbooks.dashboard") / "files"
    found = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(tuple(TYPES))}
    for language in LANGUAGES:
        words = json.dumps(Words(language).forms, ensure_ascii=False)
        found[f"words.{language}.js"] = f"export const words = {words};\n"
    return found


@cache
def folder_url() -> str:
    """Where the files are; another one after any change, so that a browser may keep them."""
    digest = hashlib.sha256(repr(sorted(contents().items())).encode()).hexdigest()
    return f"/dashboard/files/{digest[:12]}"


def file_routes() -> list[HTTPRouteHandler]:
    """`/dashboard/files/<digest>/<name>`."""

    @get("/dashboard/files/{digest:str}/{name:str}", sync_to_thread=False, include_in_schema=False)
    def show_file(digest: FromPath[str], name: FromPath[str]) -> Response[str]:
        text = contents().get(name)
        if text is None or not folder_url().endswith(f"/{digest}"):
            raise NotFoundException("this file belongs to another version of the dashboard; load the page again")
        return Response(text, media_type=TYPES[name.rpartition(".")[2]], headers=FILE_HEADERS)

    return [show_file]
