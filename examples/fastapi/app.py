"""A FastAPI app whose users sign in with GitHub, by Authlib: uvicorn app:app."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from authlib.integrations.starlette_client import OAuth
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from starlette.middleware.sessions import SessionMiddleware

# region client
from yellowbooks.client import AsyncClient, Client
from yellowbooks.client.starlette import signed_in

notifier = AsyncClient(
    Client(
        os.environ.get("YB_URL", "http://127.0.0.1:3333"),
        key=os.environ.get("YB_API_KEY"),  # one of the API's YB_API_KEYS
        spool=os.environ.get("YB_SPOOL", "spool"),
    )
)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    async with notifier:  # what is left goes to the spool when the app ends
        yield


# endregion client

TRUSTED_PROXIES = int(os.environ.get("TRUSTED_PROXIES", "0"))  # how many proxies of yours stand before the app
app = FastAPI(lifespan=lifespan)
app.add_middleware(SessionMiddleware, secret_key=os.environ.get("SECRET_KEY", "only for trying it out"))
GITHUB = os.environ.get("GITHUB_URL", "https://github.com")
oauth = OAuth()
oauth.register(
    "github",
    client_id=os.environ.get("GITHUB_ID"),
    client_secret=os.environ.get("GITHUB_SECRET"),
    authorize_url=f"{GITHUB}/login/oauth/authorize",
    access_token_url=f"{GITHUB}/login/oauth/access_token",
    api_base_url=os.environ.get("GITHUB_API", "https://api.github.com/"),
    client_kwargs={"scope": "read:user user:email"},
)


@app.get("/login")
async def login(request: Request) -> Response:
    return await oauth.github.authorize_redirect(request, str(request.url_for("callback")))


# region hook
@app.get("/callback")
async def callback(request: Request) -> Response:
    token = await oauth.github.authorize_access_token(request)
    user = (await oauth.github.get("user", token=token)).json()
    request.session["user"] = user["login"]
    who = {"sub": user["id"], "email": user["email"], "name": user["name"]}
    await signed_in(notifier, request, who, provider="github", trusted_proxies=TRUSTED_PROXIES)
    return RedirectResponse("/")


# endregion hook


@app.get("/")
async def home(request: Request) -> Response:
    return PlainTextResponse(f"You are {request.session.get('user', 'nobody')}.")
