"""The pure parts, and the hooks on their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench.hooks import hook
from flask import Flask
from flask_login import LoginManager, UserMixin, login_user
from starlette.requests import Request

from tests.client.conftest import Api, Heard, until
from yellowbooks.client import AsyncClient, Client, client_ip
from yellowbooks.client.event import Item
from yellowbooks.client.line import Line
from yellowbooks.client.link import Answer
from yellowbooks.client.starlette import signed_in
from yellowbooks.client.verdict import judge
from yellowbooks.spool import Spool

Open = Callable[..., Client]


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "address"),
    [
        ("192.0.2.1", None, 0, "192.0.2.1"),
        ("192.0.2.1", "6.6.6.6", 0, "192.0.2.1"),
        ("10.0.0.1", "192.0.2.1", 1, "192.0.2.1"),
        ("10.0.0.1", "6.6.6.6, 192.0.2.1", 1, "192.0.2.1"),
        ("10.0.0.1", "6.6.6.6,192.0.2.1 , 10.0.0.2", 2, "192.0.2.1"),
        ("10.0.0.1", "192.0.2.1", 3, "192.0.2.1"),
        ("192.0.2.1", None, 1, "192.0.2.1"),
        ("192.0.2.1", " , ", 1, "192.0.2.1"),
        ("10.0.0.1", "192.0.2.1:5000", 1, "192.0.2.1"),
        ("10.0.0.1", "[2001:db8::1]:5000", 1, "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", 1, "2001:db8::1"),
        ("::ffff:192.0.2.1", None, 0, "192.0.2.1"),
        ("fe80::1%eth0", None, 0, "fe80::1"),
        ("10.0.0.1", "unknown", 1, None),
        ("10.0.0.1", "192.0.2.1\n", 1, "192.0.2.1"),
        ("", None, 0, None),
        (None, None, 2, None),
    ],
)
def test_the_clients_address(peer: str | None, forwarded: str | None, proxies: int, address: str | None) -> None:
    assert client_ip(peer, forwarded, proxies) == address


WORDS = {
    "done": (200, 201, 202, 409), "refused": (400, 404, 405, 410, 413, 415, 422), "later": (429,), "faulty": (500,),
    "away": (408, 421, 425, 501, 502, 503, 504, 529, 100, 700), "mend": (301, 302, 307, 308, 401, 403, 407),
}  # fmt: skip


def test_the_table_of_answers() -> None:
    for word, statuses in WORDS.items():
        assert [judge(Answer(status)).word for status in statuses] == [word] * len(statuses)
    assert judge(Answer(429)).wait == 60
    assert judge(Answer(429, retry_after=7)).wait == 7
    assert judge(Answer(503, retry_after=7)).wait == 7


def test_what_goes_to_disk_while_the_courier_looks_there_keeps_its_place(tmp_path: Path) -> None:
    class Racing(Line):
        looks = 0

        def _from_disk(self) -> Item | None:
            found = super()._from_disk()
            self.looks += 1
            if self.looks == 1:  # the keeper comes between the two looks, and then a caller
                assert self.move() == 2
                self.put(Item("hello", "c", b"{}"))
            return found

    line = Racing(Spool(tmp_path), 10)
    for name in ("a", "b"):
        line.put(Item("hello", name, b"{}"))
    order = []
    while item := line.take():
        order.append(item.job_id)
        line.finish(item)
    assert order == ["a", "b", "c"]
    assert line.waiting == 0


def test_what_is_sent_while_it_goes_to_disk_is_not_sent_again(tmp_path: Path) -> None:
    """The courier is done with some while the keeper writes them, and with others before the keeper has said so."""
    line = Line(Spool(tmp_path), 10)
    assert line.spool
    for name in ("a", "b", "c", "d"):
        line.put(Item("hello", name, b"{}"))
    order = []

    def send(count: int) -> None:
        for _ in range(count):
            item = line.take()
            assert item
            order.append(item.job_id)
            if item.job_id == "b":
                line.put_off(item, 3600)
            else:
                line.finish(item)

    class Hooked(Spool):
        def append(self, records: Any) -> Any:
            send(2)
            places = super().append(records)
            send(1)
            return places

    line.spool = Hooked(tmp_path)
    assert line.move() == 4
    send(1)
    assert order == ["a", "b", "c", "d"]
    assert line.take() is None
    assert (line.waiting, line.in_memory) == (1, 0)
    line.spool.close()
    again = Spool(tmp_path)
    assert again.adopt() == 1


def test_django_tells_of_what_is_through_and_of_nothing_that_was_rolled_back(
    api: Api, open_client: Open, heard: Heard
) -> None:
    api.start()
    client = open_client()
    kind = hook(client)
    from django.contrib.auth.signals import user_logged_in
    from django.db import transaction

    from yellowbooks.client.django import connect

    with transaction.atomic():
        kind(1).send()
        transaction.set_rollback(True)
    with transaction.atomic():
        kind(2).send()
        assert client.flush()
        assert api.taken == []
    assert client.flush()
    assert [body["userId"] for body in api.taken] == ["2"]
    nobody = kind(3)
    nobody.user.email = ""
    nobody.send()
    staff = kind(4)
    user_logged_in.disconnect(dispatch_uid="yellowbooks")
    connect(client, skip=lambda request, user: user.pk == 4, provider=lambda request, user: f"by {request.path}")
    staff.send()
    kind(5).send()
    assert client.flush()
    assert [(body["userId"], body["provider"]) for body in api.taken[1:]] == [("5", "by /login/")]
    user_logged_in.disconnect(dispatch_uid="yellowbooks")
    connect(client, provider=lambda request, user: 1 / 0)
    kind(6).send()
    until(lambda: heard.of("failed"))
    assert "ZeroDivisionError" in heard.of("failed")[0]["why"]
    user_logged_in.disconnect(dispatch_uid="yellowbooks")


def test_flask_login_tells_and_never_raises(api: Api, open_client: Open, heard: Heard) -> None:
    from yellowbooks.client.flask import connect

    class User(UserMixin):
        def __init__(self, number: int, mail: str | None) -> None:
            self.id, self.mail = number, mail

    def wrong(user: Any) -> str:
        raise RuntimeError("no such thing")

    api.start()
    client = open_client()
    for email, expected in ((lambda user: user.mail, ["7"]), (wrong, [])):
        app = Flask("x")
        app.secret_key = "x"
        LoginManager(app)
        connect(app, client, email=email, provider=lambda user: "github", trusted_proxies=1)
        app.add_url_rule("/<int:number>", view_func=_login(User), endpoint="login")
        headers = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "192.0.2.9"), ("User-Agent", "Firefox")]
        api.taken.clear()
        with app.test_client() as browser:
            assert browser.get("/7", headers=headers).status_code == 200
            assert browser.get("/8", headers=headers).status_code == 200
        assert client.flush()
        assert [body["userId"] for body in api.taken] == expected
        if expected:
            [body] = api.taken
            assert (body["ipAddress"], body["provider"], body["userAgent"]) == ("192.0.2.9", "github", "Firefox")
    until(lambda: len(heard.of("failed")) == 2)


def _login(kind: Any) -> Callable[[int], str]:
    def login(number: int) -> str:
        login_user(kind(number, "bat@example.com" if number == 7 else None))
        return "in"

    return login


async def test_starlette_makes_one_mail_of_a_callback_that_comes_twice(
    api: Api, open_client: Open, heard: Heard
) -> None:
    api.start()
    client = AsyncClient(open_client())

    def callback(query: str) -> Request:
        headers = [(b"x-forwarded-for", b"6.6.6.6"), (b"user-agent", b"Firefox")]
        return Request({"type": "http", "query_string": query.encode(), "headers": headers, "client": ("192.0.2.3", 1)})

    who = {"sub": 5, "email": "bat@example.com", "name": "Бат"}
    for query in ("code=a&state=s", "code=a&state=s", "code=b", "", ""):
        await signed_in(client, callback(query), who, provider="github")
    await signed_in(client, callback("code=c"), {"sub": 6, "email": None}, provider="github")
    assert await client.flush()
    assert len(api.taken) == 4
    assert {(body["userId"], body["ipAddress"], body["userAgent"]) for body in api.taken} == {
        ("5", "192.0.2.3", "Firefox")
    }
    await signed_in(client, callback("code=d"), {"email": "bat@example.com"}, provider="github")
    until(lambda: heard.of("failed"))
