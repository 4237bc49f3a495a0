"""The pages' frames. Their live parts are filled in the browser, from the API, with the operator's own session."""

from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from yellowbooks.dashboard.door import Door, logout_route
from yellowbooks.dashboard.frames import PAGES, Frames


def dashboard_routes(*, inbox: bool, door: Door) -> list[HTTPRouteHandler]:
    """`/dashboard` and what belongs to it. The pages show nothing by themselves; the caller guards them anyway.

    `inbox` says whether mails are kept here, so that the pages may point there.
    """
    frames = Frames(inbox)
    shown = [_page_route(frames, door, name, path) for name, path in PAGES.items()]
    return [*shown, _job_route(frames, door), logout_route(door)]


def _page_route(frames: Frames, door: Door, name: str, path: str) -> HTTPRouteHandler:
    @get(f"/dashboard{path}", sync_to_thread=False, include_in_schema=False, name=f"dashboard-{name}")
    def show(request: Request[Any, Any, Any]) -> Response[str]:
        return frames.render(request, name, csrf=door.csrf(request))

    return show


def _job_route(frames: Frames, door: Door) -> HTTPRouteHandler:
    @get("/dashboard/jobs/{job_id:str}", sync_to_thread=False, include_in_schema=False)
    def show_job(request: Request[Any, Any, Any], job_id: FromPath[str]) -> Response[str]:
        return frames.render(request, "job", csrf=door.csrf(request), job_id=job_id)

    return show_job
