"""Delivery reports by POST."""

from collections.abc import Callable

import httpx
import pytest

from tests.api.conftest import Api
from tests.mail.reports import SECRET, report, sent
from yellowbooks.jobs import Queue
from yellowbooks.mail import BounceIntake, SuppressionList

PATH = "/api/admin/bounces"
MAIL = {"Content-Type": "message/rfc822"}


@pytest.fixture
def mails(queue: Queue, queue_name: str) -> SuppressionList:
    async def execute(*command: str | int | bytes) -> object:
        return await queue.link.reach(lambda: queue.link.client.execute_command(*command))

    return SuppressionList(execute, SECRET, name=queue_name)


@pytest.fixture
def open_client(api: Api, mails: SuppressionList) -> Callable[..., httpx.AsyncClient]:
    return lambda **changes: api.client(bounces=BounceIntake(mails, SECRET), **changes)


async def test_a_posted_report_suppresses_its_address(open_client, mails: SuppressionList) -> None:
    async with open_client() as client:
        reply = await client.post(PATH, content=report(sent()), headers=MAIL)
    assert reply.status_code == 200
    [taken] = reply.json()["taken"]
    assert (taken["answer"], taken["ref"]) == ("suppressed", mails.ref("bat@example.com"))
    assert await mails.suppressed("bat@example.com")
    assert "bat@example.com" not in reply.text


async def test_a_report_as_large_as_servers_make_them_is_taken(open_client) -> None:
    async with open_client() as client:
        padded = report(sent()).replace(b"I'm sorry", b"I'm sorry\r\n" * 20_000)
        assert (await client.post(PATH, content=padded, headers=MAIL)).status_code == 200
        assert (await client.post(PATH, content=b"x" * 1_100_000, headers=MAIL)).status_code == 413


async def test_what_is_no_report_is_400_and_says_why(open_client) -> None:
    async with open_client() as client:
        for body, headers, why in (
            (sent().data, MAIL, "is no delivery report"),
            (report(sent()), {"Content-Type": "application/json"}, "message/rfc822"),
        ):
            reply = await client.post(PATH, content=body, headers=headers)
            assert reply.status_code == 400
            assert reply.headers["content-type"] == "application/problem+json"
            assert why in str(reply.json()) or why in reply.json()["detail"]


async def test_a_strangers_report_changes_nothing(open_client, mails: SuppressionList) -> None:
    forged = sent("victim@example.com", secret=b"guessed-secret")
    async with open_client() as client:
        reply = await client.post(PATH, content=report(forged), headers=MAIL)
    assert [taken["answer"] for taken in reply.json()["taken"]] == ["not_ours"]
    assert await mails.entries() == []


async def test_only_operators_may_and_only_where_a_secret_is_set(api: Api, open_client) -> None:
    keys = {"api_keys": ["k" * 16], "admin_keys": ["a" * 16]}
    async with open_client(**keys) as client:
        for key, status in (("k" * 16, 403), ("a" * 16, 200)):
            headers = MAIL | {"Authorization": f"Bearer {key}"}
            assert (await client.post(PATH, content=report(sent()), headers=headers)).status_code == status
    async with api.client() as client:
        reply = await client.post(PATH, content=report(sent()), headers=MAIL)
        assert reply.status_code == 503
        assert "YB_MAIL_SECRET" in reply.json()["detail"]
        document = (await client.get("/schema")).json()
    operation = document["paths"][PATH]["post"]
    assert "message/rfc822" in operation["requestBody"]["content"]
