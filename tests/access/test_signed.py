"""Signed requests in place of a key: the specification's vector, time, copies, scope, and what ends a key."""

import base64
import hmac
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.conftest import ValkeyServer
from tests.parts import eventually
from tests.security.whole import Whole, bearer, whole
from yellowbooks.access import KeyStore, Record, issue_signer
from yellowbooks.jobs import Queue
from yellowbooks.wiring import key_secrets

PATH, HELLO = "/api/jobs/signin-notification", "/api/jobs/hello"
BODY = b'{"userId":"u1","email":"bat@example.com","provider":"github"}'
# standard-webhooks/standard-webhooks, libraries/python/standardwebhooks/test_webhooks.py and the specification
VECTOR_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
VECTOR_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def sign(secret: str, message: str, stamp: int, body: bytes) -> str:
    """As the specification says it, by nothing of ours."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{message}.{stamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


class Signer:
    """An application that signs."""

    def __init__(self, client: httpx.AsyncClient, secret: str, key_id: str) -> None:
        self.client, self.secret, self.key_id = client, secret, key_id

    async def post(
        self, body: bytes = BODY, *, message: str = "msg_1", late: int = 0, path: str = PATH, **headers: str
    ) -> httpx.Response:
        stamp = round(time.time()) - late
        signed = {
            "Content-Type": "application/json", "X-Key-Id": self.key_id, "webhook-id": message,
            "webhook-timestamp": str(stamp), "webhook-signature": sign(self.secret, message, stamp, body),
        } | headers  # fmt: skip
        return await self.client.post(path, content=body, headers={k: v for k, v in signed.items() if v != "-"})


class Desk:
    def __init__(self, queue: Queue, api: Whole) -> None:
        self.store, self.api = KeyStore(queue.beside("{yb:keys}").execute), api

    async def issue(self, client: httpx.AsyncClient, *kinds: str, expires: int = 0) -> Signer:
        secret, record = issue_signer(key_secrets(self.api.settings), "shop", kinds, int(time.time()), expires)
        await self.store.issue(record)
        return Signer(client, secret, record.id)


@pytest.fixture
async def desk(own_valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Desk]:
    queue = Queue(own_valkey.url)
    async with whole(own_valkey.url, tmp_path, kinds=("examples.hello",)) as api:
        yield Desk(queue, api)
    await queue.close()


def refused(reply: httpx.Response, words: str) -> None:
    assert reply.status_code == 401, reply.text
    assert words in reply.json()["detail"]
    assert "www-authenticate" in reply.headers


def test_the_vector_of_the_specification() -> None:
    assert sign(VECTOR_SECRET, *VECTOR) == VECTOR_SIGNATURE


async def test_a_signed_request_is_taken_and_a_copy_of_it_is_the_same_job(desk: Desk) -> None:
    async with desk.api.client() as client:
        signer = await desk.issue(client)
        taken = await signer.post()
        assert taken.status_code == 202, taken.text
        copy = await signer.post()
        assert (copy.status_code, copy.json()["jobId"]) == (409, taken.json()["jobId"])
        assert copy.json()["sameRequest"]
        assert taken.json()["jobId"].startswith("signed-")
        other = await signer.post(message="msg_2")
        assert other.status_code == 202
        own = await signer.post(BODY[:-1] + b',"jobId":"mine"}', message="msg_3")
        assert own.json()["jobId"] == "mine"
        elsewhere = await signer.post(b'{"name":"Bat"}', path=HELLO)
        assert elsewhere.status_code == 409  # the message was taken once, whatever it is sent to

        async def used() -> bool:
            return signer.key_id in (await desk.store.all()).used

        await eventually(used, 30)


async def test_what_was_changed_or_is_late_is_refused(desk: Desk) -> None:
    async with desk.api.client() as client:
        signer = await desk.issue(client)
        right = sign(signer.secret, "msg_1", round(time.time()), BODY)
        assert (await signer.post(late=290)).status_code == 202
        refused(await signer.post(late=310), "more than 300 s away")
        refused(await signer.post(late=-310), "more than 300 s away")
        refused(await signer.post(BODY + b" ", **{"webhook-signature": right}), "no v1 signature")
        refused(await signer.post(message="msg_9", **{"webhook-signature": right}), "no v1 signature")
        refused(await signer.post(**{"webhook-signature": "v1,"}), "no v1 signature")
        refused(await signer.post(**{"webhook-timestamp": "-"}), "lacks one of the headers")
        refused(await signer.post(message="msg.1"), "a dot would make two messages of one text")
        refused(await signer.post(**{"webhook-id": "-"}), "webhook-id is not")
        refused(await signer.post(**{"X-Key-Id": "-"}), "names no key")
        refused(await signer.post(**{"X-Key-Id": "nobodys0"}), "no key that signs")
        page = (await client.get("/metrics", headers=bearer(desk.api.settings.admin_keys[0]))).text
    assert 'yb_access_denials_total{reason="signature"} 10' in page


async def test_what_ends_a_key_ends_its_signatures(desk: Desk) -> None:
    async with desk.api.client() as client:
        signer, over = await desk.issue(client), await desk.issue(client, expires=int(time.time()) - 1)
        assert (await signer.post()).status_code == 202
        await desk.store.revoke(signer.key_id)
        refused(await signer.post(message="msg_2"), "was revoked")
        refused(await over.post(message="msg_3"), "has expired")
        forged = Signer(client, VECTOR_SECRET, signer.key_id)
        refused(await forged.post(message="msg_4"), "no v1 signature")  # only its holder learns that it was revoked


async def test_a_scope_holds_and_nothing_else_is_opened(desk: Desk) -> None:
    async with desk.api.client() as client:
        signer = await desk.issue(client, "hello")
        assert (await signer.post(b'{"name":"Bat"}', path=HELLO)).status_code == 202
        reply = await signer.post(message="msg_2")
        assert reply.status_code == 403
        assert "may enqueue hello alone" in reply.json()["detail"]
        for path in ("/api/admin/dlq/retry", "/api/jobs/x"):
            assert (await signer.post(b"{}", path=path)).status_code in (401, 405)
        for key in (signer.secret, signer.secret.removeprefix("whsec_"), f"yb_api_{signer.key_id}_{'0' * 49}"):
            assert (await client.post(HELLO, json={"name": "Bat"}, headers=bearer(key))).status_code == 401


async def test_who_writes_the_store_widens_no_key(desk: Desk, own_valkey: ValkeyServer) -> None:
    client = own_valkey.client()
    async with desk.api.client() as asked:
        signer = await desk.issue(asked, "hello")
        kept = msgspec.json.decode(client.hget("{yb:keys}:keys", signer.key_id), type=Record)
        assert base64.b64decode(signer.secret[6:]).hex() not in str(kept)
        wider = msgspec.structs.replace(kept, kinds=())
        client.hset("{yb:keys}:keys", signer.key_id, msgspec.json.encode(wider))
        client.set("{yb:keys}:version", "forged")
        refused(await signer.post(), "no v1 signature")
    client.close()


async def test_while_the_queue_is_away_it_is_taken_onto_the_disk(desk: Desk, own_valkey: ValkeyServer) -> None:
    async with desk.api.client() as client:
        signer = await desk.issue(client)
        assert (await signer.post()).status_code == 202
        own_valkey.kill()
        assert (await signer.post(message="msg_2")).status_code == 202
        stranger = await signer.post(message="msg_3", **{"X-Key-Id": "nobodys0"})
        assert (stranger.status_code, stranger.headers["retry-after"]) == (503, "5")
        own_valkey.start()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:3333", 404), ("localhost", 404), ("LOCALHOST.:3333", 404), ("[::1]:3333", 404),
        ("yb.localhost:80", 404), ("127.9.9.9", 404), ("jobs.example.com", 404), ("evil.example", 421),
        ("localhost.evil.example", 421), ("127.0.0.1.evil.example:3333", 421), ("192.0.2.1", 421), ("0.0.0.0", 421),
        ("[::1", 421), ("[2001:db8::1]:3333", 421),
    ],
)  # fmt: skip
async def test_an_open_api_answers_to_its_own_names(
    own_valkey: ValkeyServer, tmp_path: Path, host: str, status: int
) -> None:
    keyless: dict[str, Any] = {"api_keys": (), "admin_keys": ()}
    async with whole(own_valkey.url, tmp_path, **keyless) as api, api.client() as client:
        reply = await client.get("/api/jobs/nobody-has-this", headers={"Host": host})
        assert reply.status_code == status, reply.text
        if status == 421:
            assert "YB_PUBLIC_URL" in reply.json()["detail"]
            for path in ("/dashboard", "/schema", "/metrics"):
                assert (await client.get(path, headers={"Host": host})).status_code == 421
            for path in ("/healthz", "/readyz"):  # a balancer asks by a name of its own
                assert (await client.get(path, headers={"Host": host})).status_code == 200


async def test_with_keys_any_name_will_do(desk: Desk) -> None:
    async with desk.api.client() as client:
        headers = bearer(desk.api.settings.admin_keys[0]) | {"Host": "evil.example"}
        assert (await client.get("/api/admin/dlq", headers=headers)).status_code == 200
