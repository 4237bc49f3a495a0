"""A Flask app whose users sign in with a password: gunicorn --preload app:app."""

import os
from dataclasses import dataclass

from flask import Flask, redirect, request
from flask_login import LoginManager, UserMixin, current_user, login_user
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response

from yellowbooks.client import Client
from yellowbooks.client.flask import connect

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY", "only for trying it out")

# region hook
notifier = Client(
    os.environ.get("YB_URL", "http://127.0.0.1:3333"),
    key=os.environ.get("YB_API_KEY"),  # one of the API's YB_API_KEYS
    spool=os.environ.get("YB_SPOOL", "spool"),
)
connect(app, notifier, trusted_proxies=int(os.environ.get("TRUSTED_PROXIES", "0")))
# endregion hook


@dataclass
class User(UserMixin):
    id: str
    email: str
    name: str
    password: str


USERS = {
    name: User(name, f"{name}@example.com", "Бат", generate_password_hash("only for trying it out"))
    for name in ("bat", "dorj", "saran", "tuya")
}
login_manager = LoginManager(app)


@login_manager.user_loader
def load(user_id: str) -> User | None:
    return USERS.get(user_id)


@app.post("/login")
def login() -> Response | tuple[str, int]:
    user = USERS.get(request.form["name"])
    if user is None or not check_password_hash(user.password, request.form["password"]):
        return "No such name and password.", 401
    login_user(user)
    return redirect("/")


@app.get("/")
def home() -> str:
    return f"You are {current_user.id if current_user.is_authenticated else 'nobody'}."
