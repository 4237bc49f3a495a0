"""The local inbox: mails on disk, newest first, and nothing beyond its folder."""

from pathlib import Path

import pytest

from tests.mail.test_smtp import Commit, letter
from yellowbooks.mail import Inbox, MessageRefused
from yellowbooks.mail.message import Message


async def test_a_kept_mail_can_be_read(tmp_path: Path) -> None:
    inbox, commit = Inbox(tmp_path / "inbox"), Commit()
    await inbox.send(letter(), commit)
    [entry] = inbox.entries(10)
    mail = inbox.read(entry.id)
    assert (entry.recipient, entry.subject) == ("bat@example.com", "Сайн уу")
    assert (mail.text, mail.html) == ("hello\n", "<p>hello</p>")
    assert mail.source == letter().data.decode()
    assert commit.calls == 1


async def test_the_same_mail_again_replaces_itself(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    for key in ("a", "b", "a"):
        await inbox.send(letter(key), Commit())
    assert len(inbox.entries(10)) == 2


async def test_newest_first_and_no_more_than_are_kept(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, keep=5)
    for number in range(51):
        await inbox.send(letter(f"job-{number}", f"{number}\n"), Commit())
    entries = inbox.entries(100)
    assert len(entries) == 5
    assert inbox.read(entries[0].id).text == "50\n"


async def test_a_commit_that_is_refused_keeps_nothing(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    with pytest.raises(PermissionError):
        await inbox.send(letter(), Commit(error=PermissionError("lost")))
    assert inbox.entries(10) == []


async def test_a_spoilt_mail_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MessageRefused):
        await Inbox(tmp_path).send(Message("<a@b>", "a@b.c", "d@e.f", "x", b"Bcc: x\r\n\r\n"), Commit())


@pytest.mark.parametrize(
    "mail_id", ["", "x", "../../etc/passwd", "1" * 16 + "-" + "0" * 40, "*", "1" * 16 + "-" + "0" * 39 + "/"]
)
def test_no_id_leads_out_of_the_folder(tmp_path: Path, mail_id: str) -> None:
    with pytest.raises(KeyError):
        Inbox(tmp_path).read(mail_id)
