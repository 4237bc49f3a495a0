"""What the system holds about a person is handed out whole, and is gone after `erase`; of the others all is there."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ValkeyServer
from tests.parts import eventually
from tests.privacy.rig import (
    ADDRESS,
    EVENT,
    KEY,
    MARKS,
    OLD_KEY,
    OTHER,
    USER,
    Rig,
    gaps,
    items,
    lies_in,
    rig,
)
from tests.signin.cases import LETTERS
from yellowbooks import wiring
from yellowbooks.intake import Intake
from yellowbooks.jobs import LeaseLost, QueueUnavailable, Receipt
from yellowbooks.jobs.outcome import COMPLETED, Dead
from yellowbooks.mail import by_operator, mailbox
from yellowbooks.notme import NotMe
from yellowbooks.signin import SignIn, Summary
from yellowbooks.signin.handler import write_mail
from yellowbooks.spool import Spool


async def fill(the: Rig) -> dict[str, str]:
    """Jobs of his in every state, and what stands beside them; the ids by state."""
    ids: dict[str, str] = {}
    names = [kind.name for kind in the.kinds]
    for state in ("completed", "dead", "running"):
        ids[state] = await the.admit()
        [lease], _ = await the.queue.claim(names, 1)
        assert lease.job_id == ids[state]
        if state == "completed":
            await lease.commit()
            await the.queue.note(lease, "a line of its history", None)
            await the.queue.settle(lease, COMPLETED)
        elif state == "dead":
            await the.queue.settle(lease, Dead("it could not be", "cause"))
    ids["waiting"] = await the.admit({**EVENT, "job_id": "his-own-id"})
    ids["scheduled"] = await the.admit(delay=3600)
    ids["pressed"], _ = await the.queue.admit(the.kinds[-1], NotMe(user_id=USER, sign_in=ids["completed"], pressed=1))
    ids["other"] = await the.admit(OTHER)
    await the.recorded()
    return ids


async def fill_beside(the: Rig, ids: dict[str, str]) -> None:
    notices = wiring.device_memory(the.settings, the.queue)
    assert notices
    for number in range(3):  # the first is told at once, then two wait for a summary
        await notices.decide(f"{ids['completed']}{number}", SignIn(**EVENT), 1_790_000_000_000)
        await notices.told(f"{ids['completed']}{number}", SignIn(**EVENT))
    await notices.decide("job-of-another", SignIn(**OTHER), 1_790_000_000_000)
    await notices.decide("job-of-another-2", SignIn(**OTHER), 1_790_000_000_000)
    suppressions = wiring.suppression_list(the.settings, the.queue)
    await suppressions.change(suppressions.ref(ADDRESS), by_operator("canary-name asked by telephone", 86_400))
    inbox = wiring.open_inbox(the.settings)
    secret = wiring.mail_secret(the.settings)
    for job_id, event in ((ids["completed"], EVENT), (ids["other"], OTHER)):
        mail = write_mail(LETTERS, mailbox("a@example.mn"), secret, job_id, 1_790_000_000_000, SignIn(**event))

        async def commit() -> None: ...

        await inbox.send(mail, commit)


@pytest.mark.parametrize(
    ("database_url", "keys", "partitions"),
    [("sqlite", "", "1"), ("postgresql", KEY, "3")],
    indirect=["database_url"],
)
async def test_all_is_handed_out_then_gone_and_what_is_anothers_stays(
    database_url: str, keys: str, partitions: str, own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    given = {
        "YB_DATABASE_URL": database_url,
        "YB_SECRET_KEYS": keys,
        "YB_PARTITIONS": partitions,
        "YB_NOTIFY": "new_device",
        "YB_LOG_PAYLOADS": "all",
    }
    async with rig(own_valkey, data, **given) as the:
        ids = await fill(the)
        await fill_beside(the, ids)
        found = await the.export()
        assert found["complete"], found
        queued = {job["jobId"]: job for job in items(found, "queue") if "jobId" in job}
        assert queued.keys() == set(ids.values()) - {ids["other"]}
        assert queued[ids["dead"]]["payload"]["ipAddress"] == "203.0.113.77"
        assert queued[ids["completed"]]["payload"] is None
        assert any(event.get("note") == "a line of its history" for event in queued[ids["completed"]]["history"])
        accounts = [item["account"] for item in items(found, "queue") if "account" in item]
        assert "signin-notification" in accounts
        # The button's job has no search keys: the log finds it by the id that the queue told of.
        logged = {job["jobId"]: job for job in items(found, "job log")}
        assert logged.keys() == queued.keys()
        assert logged[ids["waiting"]]["payload"]["ipAddress"] == "203.0.113.77"
        known, summary = items(found, "devices and summaries")
        assert (len(known["devices"]), len(known["networks"])) == (1, 1)
        assert (summary["signIns"], summary["ipAddress"]) == (2, "203.0.113.77")
        assert items(found, "suppression")[0]["reason"] == "canary-name asked by telephone"
        [mail] = items(found, "inbox")
        assert mail["to"] == ADDRESS
        assert "203.0.113.77" in mail["source"]

        erasure = await the.erase()
        assert (gaps(erasure), erasure.done) == ({}, True)
        assert erasure.files == ["BGREWRITEAOF"]
        again = await the.export()
        assert [part["part"] for part in again["parts"] if part["items"]] == []
        assert lies_in(data, MARKS) == []
        assert lies_in(own_valkey.folder / "valkey", (*MARKS, "a line of its history", "it could not be")) == []
        states = {name: await the.queue.show(job_id) for name, job_id in ids.items()}
        assert {name: job.state for name, job in states.items() if job} == {
            "completed": "completed", "dead": "cancelled", "running": "cancelled", "waiting": "cancelled",
            "scheduled": "cancelled", "pressed": "cancelled", "other": "enqueued",
        }  # fmt: skip
        other = await the.export("somebody-else")
        assert [len(items(other, part)) for part in ("queue", "devices and summaries", "inbox", "job log")] == [
            2,
            2,
            1,
            1,
        ]
        [act] = [act for act in the.log.acts(10) if act.act == "erase"]
        assert act.what.startswith("person-")
        assert USER not in str(act)
        assert (await the.erase()).done  # once more
        assert not any(one.taken for one in (await the.erase()).seen)


async def test_what_runs_is_cancelled_before_its_point_of_no_return_and_waited_for_after(
    own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    async with rig(own_valkey, tmp_path) as the:
        before, after = await the.admit(), await the.admit()
        leases, _ = await the.queue.claim([the.sign_in], 2)
        first, second = leases
        await second.commit()
        erasure = await the.erase(patience=0.5)
        assert not erasure.done
        assert (first.job_id, second.job_id) == (before, after)
        [why] = gaps(erasure)["queue"]
        assert after in why
        assert "run it again" in why
        job = await the.queue.show(after)
        assert job
        assert job.state == "processing"  # its mail may be leaving: nothing was torn off
        with pytest.raises(LeaseLost):
            await first.commit()
        assert await the.queue.settle(second, COMPLETED) == "settled"
        assert (await the.erase()).done


async def test_where_a_part_is_away_nothing_is_touched(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    async with rig(own_valkey, tmp_path) as the:
        job_id = await the.admit()
        away = "postgresql://nobody@127.0.0.1:9/none"
        async with rig(own_valkey, tmp_path, recorder=False) as same:
            same.settings = replace(same.settings, database_url=away)
            found = await same.export()
            assert not found["complete"]
            assert [one["part"] for one in found["parts"] if one["gaps"]] == ["audit trail", "job log"]
            erasure = await same.erase()
        assert (erasure.touched, erasure.done) == (False, False)
        job = await the.queue.show(job_id)
        assert job
        assert job.state == "enqueued"


async def test_a_recorder_that_is_behind_would_bring_the_row_back(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    async with rig(own_valkey, tmp_path, recorder=False) as the:
        job_id = await the.admit()
        events = await the.queue.read(1)
        the.log.append(events)
        await the.queue.recorded(events[-1].position)
        erasure = await the.erase(patience=0.3)
        assert not erasure.done
        assert "recorder" in gaps(erasure)["job log"][0]
        assert the.log.find(job_id)
    async with rig(own_valkey, tmp_path) as the:
        assert (await the.erase()).done
        assert the.log.find(job_id) is None


async def test_jobs_on_the_disk_of_a_dead_api_and_of_a_living_one(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    async with rig(own_valkey, tmp_path) as the:
        folder = tmp_path / "spool"

        def intake(spool: Spool) -> Intake:
            class Away:
                async def admit(self, *_: Any, **__: Any) -> tuple[str, Receipt]:
                    raise QueueUnavailable("away")

                def new_id(self) -> str:
                    return the.queue.new_id()

            return Intake(Away(), the.kinds, spool, lambda *_, **__: None)  # type: ignore[arg-type]  only what it needs

        dead, living = Spool(folder), Spool(folder)
        for spool in (dead, living):
            for event in (EVENT, OTHER):
                await intake(spool).admit(the.sign_in, SignIn(**event))
        dead.close()
        assert len(items(await the.export(), "disk")) == 2
        erasure = await the.erase(patience=0.3)
        assert "holds the files" in gaps(erasure)["disk"][0]
        assert len(items(await the.export(), "disk")) == 1  # that of the dead one is gone, its other job is not
        living.close()
        erasure = await the.erase()
        assert (gaps(erasure), erasure.done) == ({}, True)
        assert lies_in(folder) == []
        assert len(items(await the.export("somebody-else"), "disk")) == 2


async def test_what_cannot_be_read_is_a_gap_and_never_silence(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    async with rig(own_valkey, tmp_path, YB_SECRET_KEYS=OLD_KEY) as the:
        await the.admit(OTHER)
    async with rig(own_valkey, tmp_path, YB_SECRET_KEYS=KEY) as the:
        found = await the.export()
        assert not found["complete"]
        assert "YB_SECRET_KEYS" in str(found["parts"])
        erasure = await the.erase()
        assert not erasure.done
    async with rig(own_valkey, tmp_path, YB_SECRET_KEYS=f"{KEY},{OLD_KEY}") as the:
        assert (await the.erase()).done


async def test_by_address_alone_and_in_any_spelling(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    async with rig(own_valkey, tmp_path) as the:
        await the.admit()
        await the.admit({**EVENT, "user_id": "a-second-account", "email": "Canary-Bat@EXAMPLE.com"})
        await the.admit({**OTHER, "user_id": "idn", "email": "bat@жишээ.com"})
        await the.recorded()
        found = await the.export(None, "CANARY-bat@example.com")
        assert [len(items(found, part)) for part in ("queue", "job log")] == [2, 2]
        assert len(items(await the.export(None, "bat@xn--80aj5a3aj.com"), "queue")) in (0, 1)
        assert len(items(await the.export(None, "bat@жишээ.com"), "job log")) == 1
        assert (await the.erase(None, ADDRESS)).done
        assert len(items(await the.export("idn"), "queue")) == 2  # his job and his account


async def test_an_id_comes_again_after_the_erasure_and_is_known(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    async with rig(own_valkey, tmp_path) as the:
        await the.admit({**EVENT, "job_id": "one"})
        assert (await the.erase()).done
        _, receipt = await the.queue.admit(the.sign_in, SignIn(**EVENT, job_id="one"))
        assert (receipt.word, receipt.same) == ("seen", False)


async def test_a_job_that_finished_while_it_was_waited_for(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    async with rig(own_valkey, tmp_path) as the:
        job_id = await the.admit()
        [lease], _ = await the.queue.claim([the.sign_in], 1)
        await lease.commit()
        erasing = asyncio.create_task(the.erase())
        await asyncio.sleep(0.5)
        assert not erasing.done()
        await the.queue.settle(lease, COMPLETED)
        assert (await erasing).done
        await eventually(lambda: the.log.find(job_id) is None)


async def test_a_summary_that_he_shares_tells_the_other_and_nothing_of_him(
    own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    async with rig(own_valkey, tmp_path, YB_NOTIFY="new_device") as the:
        notices = wiring.device_memory(the.settings, the.queue)
        assert notices
        wife = {**EVENT, "user_id": "his-wife", "ip_address": "192.0.2.9"}
        for user, event in (("he", EVENT), ("she", wife)):
            for number in range(2):
                await notices.decide(f"{user}{number}", SignIn(**event), 1_790_000_000_000)
                await notices.told(f"{user}{number}", SignIn(**event))
        [(window, _)] = await notices.waiting(USER)
        summary = Summary(job_id=f"summary-{window}", window=window, user_id=USER, email=ADDRESS, due=1)
        kind = next(kind for kind in the.kinds if kind.name == "signin-summary")
        await the.queue.admit(kind, summary, delay=3600)
        erasure = await the.erase()
        assert (gaps(erasure), erasure.done) == ({}, True)
        job = await the.queue.show(f"summary-{window}")
        assert job
        assert job.state == "scheduled"
        left = await notices.close(window, ADDRESS)
        assert [group.parts.ip_address for group in left.groups] == ["192.0.2.9"]
        assert lies_in(own_valkey.folder / "valkey", (USER, "203.0.113.77")) == []
        assert (await the.erase()).done
        assert (await the.erase("his-wife")).done  # she was the last: it goes
        job = await the.queue.show(f"summary-{window}")
        assert job
        assert job.state == "cancelled"


async def test_what_the_log_alone_still_has_after_the_queue_was_lost(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    async with rig(own_valkey, tmp_path, YB_LOG_PAYLOADS="all") as the:
        job_id, _ = await the.queue.admit(the.kinds[-1], NotMe(user_id=USER, sign_in="x", pressed=1))
        await the.recorded()
        await the.queue.link.client.flushall()
        found = await the.export()
        [item] = items(found, "job log")
        assert (item["jobId"], item["payload"]["userId"]) == (job_id, USER)  # no key leads there: only what was sent
        assert (await the.erase()).done
        assert the.log.find(job_id) is None
        assert lies_in(tmp_path) == []
