"""Signatures that dkimpy, another implementation, verifies; and no change to a mail that it lets pass."""

import asyncio
import base64
import re
import stat
from collections.abc import Callable
from pathlib import Path

import dkim
import msgspec
import pytest
from aiosmtpd.controller import Controller
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.mail.test_message import DATE
from tests.mail.test_smtp import Commit, Server, letter, mailer
from tests.test_up import free_port
from yellowbooks.mail import Inbox, Key, Message, MessageRefused, Signer, make_key
from yellowbooks.mail.dkim import OVERSIGNED, SIGNED, relaxed_body, relaxed_header
from yellowbooks.mail.message import check

DOMAIN = "example.mn"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Key]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(f"{name}2026", folder / f"{name}.pem", name) for name in ("rsa", "ed25519")}  # type: ignore[arg-type]


def verifies(data: bytes, keys: dict[str, Key], which: int = 0) -> bool:
    """Whether the signature `which` (from the top) holds, with the keys looked up as a receiver would."""
    published = {f"{key.selector}._domainkey.{DOMAIN}.": key.record() for key in keys.values()}
    verifier = dkim.DKIM(data, minkey=2048)
    try:
        return bool(verifier.verify(which, dnsfunc=lambda name, timeout=5: published.get(name.decode(), "").encode()))
    except dkim.DKIMException:
        return False


def tags(data: bytes, which: int = 0) -> dict[str, str]:
    header = re.findall(rb"DKIM-Signature:((?:[^\r]|\r\n )*)", data)[which]
    pairs = (tag.partition("=") for tag in header.decode().split(";"))
    return {name.strip(): re.sub(r"\s+", "", value) for name, _, value in pairs}


@pytest.mark.parametrize("names", [["rsa"], ["ed25519"], ["rsa", "ed25519"]])
def test_d2_another_implementation_verifies_each_signature(keys: dict[str, Key], names: list[str]) -> None:
    signed = Signer(DOMAIN, [keys[name] for name in names]).sign(letter())
    assert signed.signatures == len(names)
    assert signed.data.endswith(letter().data)
    check(signed)
    for which in range(len(names)):
        assert verifies(signed.data, keys, which)
    assert max(map(len, signed.data.partition(b"\r\n\r\n")[0].split(b"\r\n"))) <= 78


def test_d2_what_is_signed(keys: dict[str, Key]) -> None:
    said = tags(Signer("Example.MN", [keys["rsa"]]).sign(letter()).data)
    names = said["h"].split(":")
    assert set(names) == {
        "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted", "Reply-To",
    }  # fmt: skip
    assert all(names.count(name) == 2 for name in ("From", "Subject", "To", "Date"))
    assert names == [*SIGNED, *OVERSIGNED]
    assert said.keys() == {"v", "a", "c", "d", "s", "t", "h", "bh", "b"}  # no l=, and no x= that a late retry outlives
    assert (said["a"], said["c"], said["d"]) == ("rsa-sha256", "relaxed/relaxed", DOMAIN)
    assert said["t"] == str(int(DATE.timestamp()))


@pytest.mark.parametrize("name", ["rsa", "ed25519"])
@pytest.mark.parametrize(
    "tamper",
    [
        lambda data: data.replace(b"Message-ID: <", b"Message-ID: <0", 1), lambda data: data.replace(b"\r\nTo: bat", b"\r\nTo: cat"),
        lambda data: data.replace(b"2025", b"2026", 1), lambda data: data.replace(b"Auto-Submitted: auto-generated", b"Auto-Submitted: no"),
        lambda data: b"From: other@example.com\r\n" + data, lambda data: b"Subject: other\r\n" + data,
        lambda data: b"To: other@example.com\r\n" + data, lambda data: b"Date: Thu, 02 Jan 2025 03:04:06 +0000\r\n" + data,
        lambda data: b"Reply-To: other@example.com\r\n" + data, lambda data: data.replace(b"Yellow Books", b"Yelow Books"),
        lambda data: data.replace(b"aGVsbG8", b"aGVsbG9").replace(b"hello", b"hallo"), lambda data: data + b"more\r\n",
        lambda data: data.replace(b"multipart/alternative", b"multipart/mixed"), lambda data: data.replace(b"t=1735787045", b"t=1735787046"),
        lambda data: data.replace(b"d=example.mn", b"d=example.mm"), lambda data: data.replace(b"MIME-Version: 1.0", b"MIME-Version: 1.1"),
    ],
)  # fmt: skip
def test_a_changed_mail_does_not_verify(keys: dict[str, Key], name: str, tamper: Callable[[bytes], bytes]) -> None:
    signed = Signer(DOMAIN, [keys[name]]).sign(letter()).data
    changed = tamper(signed)
    assert changed != signed
    assert verifies(signed, keys)
    assert not verifies(changed, keys)


def test_another_key_does_not_verify(keys: dict[str, Key], tmp_path: Path) -> None:
    other = make_key(keys["rsa"].selector, tmp_path / "other.pem", "rsa")
    assert not verifies(Signer(DOMAIN, [other]).sign(letter()).data, keys)


def test_what_servers_change_on_the_way_is_forgiven(keys: dict[str, Key]) -> None:
    signed = Signer(DOMAIN, [keys["rsa"], keys["ed25519"]]).sign(letter()).data
    moved = b"Received: from a\r\n by b\r\n" + signed.replace(b"Subject: ", b"SUBJECT:  \t") + b"\r\n\r\n"
    assert verifies(moved, keys, 0)
    assert verifies(moved, keys, 1)


def test_the_same_mail_is_signed_alike_on_every_attempt(keys: dict[str, Key], tmp_path: Path) -> None:
    signer = Signer(DOMAIN, [keys["rsa"], keys["ed25519"]])
    assert signer.sign(letter()) == signer.sign(letter())
    assert signer.sign(letter("job-2")) != signer.sign(letter())


@given(
    st.lists(st.text("ab \t", max_size=6), max_size=6).map(
        lambda lines: "".join(f"{line}\r\n" for line in lines).encode()
    ),
)
def test_a_relaxed_body_is_that_of_the_other_implementation(body: bytes) -> None:
    theirs = dkim.canonicalization.Relaxed.canonicalize_body(body)
    assert relaxed_body(body) == (b"" if theirs == b"\r\n" else theirs)


@given(st.text("aB \t", max_size=12))
def test_a_relaxed_header_is_that_of_the_other_implementation(value: str) -> None:
    [(name, theirs)] = dkim.canonicalization.Relaxed.canonicalize_headers([(b"SubJect", f"{value}\r\n".encode())])
    assert relaxed_header(b"SubJect", value.encode()) + b"\r\n" == name + b":" + theirs


def test_a_signature_that_is_not_ours_does_not_pass_the_gate(keys: dict[str, Key]) -> None:
    signed = Signer(DOMAIN, [keys["rsa"]]).sign(letter())
    for wrong in (0, 2):
        with pytest.raises(MessageRefused):
            check(msgspec.structs.replace(signed, signatures=wrong))


async def test_a_signed_mail_is_kept_and_sent_as_it_is(keys: dict[str, Key], tmp_path: Path) -> None:
    signed = Signer(DOMAIN, [keys["rsa"], keys["ed25519"]]).sign(letter())
    inbox = Inbox(tmp_path / "inbox")
    await inbox.send(signed, Commit())
    assert verifies(inbox.read(inbox.entries(1)[0].id).source.encode(), keys, 1)
    server = Server()
    controller = Controller(server, hostname="127.0.0.1", port=free_port())
    controller.start()
    sender = mailer(f"smtp://127.0.0.1:{controller.port}?starttls=never")
    await sender.send(signed, Commit())
    await sender.aclose()
    await asyncio.sleep(0.05)  # the server sees the end of what was closed
    controller.stop()
    assert verifies(server.mails[0].content, keys, 0)
    with pytest.raises(MessageRefused):
        await inbox.send(Message("<a@b>", "a@b.c", "d@e.f", "x", signed.data), Commit())


def test_no_key_leaves_a_mail_as_it_is() -> None:
    assert Signer(DOMAIN, []).sign(letter()) == letter()


def test_a_key_file_is_its_owners_alone_and_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = make_key("a", path, "ed25519")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Key.read("a", path).record() == key.record()
    assert len(base64.b64decode(key.record().partition("p=")[2])) == 32
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not overwritten"):
        make_key("a", path, "rsa")
    assert path.read_bytes() == before


def _pem(private: object, path: Path, password: bytes | None = None) -> Path:
    how = BestAvailableEncryption(password) if password else NoEncryption()
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))  # type: ignore[attr-defined]
    return path


def test_a_key_that_cannot_sign_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    wrong = {
        "cannot be read": tmp_path / "none", "no private key": tmp_path / "text",
        "1024 bits": _pem(rsa.generate_private_key(65_537, 1024), tmp_path / "short"),
        "neither RSA nor Ed25519": _pem(ec.generate_private_key(ec.SECP256R1()), tmp_path / "curve"),
        "without a password": _pem(ec.generate_private_key(ec.SECP256R1()), tmp_path / "locked", b"secret"),
    }  # fmt: skip
    for why, path in wrong.items():
        with pytest.raises(ValueError, match=rf"{why}.*yellowbooks mail dkim-key"):
            Key.read("mail2026", path)


@pytest.mark.parametrize("selector", ["", "-a", "a-", "a..b", "a b", "a_b", "ө", "a" * 64, "a;t=y"])
def test_a_selector_that_is_no_name_is_refused(selector: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no selector"):
        Key.read(selector, tmp_path / "none")
