"""The sign-ins whose letters are kept byte for byte; `python -m tests.signin.cases` writes them anew."""

from datetime import UTC, datetime
from pathlib import Path

from yellowbooks.mail import compose, mailbox
from yellowbooks.signin import Letters, SignIn
from yellowbooks.signin.samples import summary_samples

GOLDEN = Path(__file__).parent / "golden"
CREATED = datetime(2025, 12, 18, 23, 0, 5, tzinfo=UTC)
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36"
FULL = SignIn(
    user_id="u1", email="bat@example.com", name="Бат", provider="github", ip_address="192.168.1.100",
    user_agent=CHROME, timestamp=datetime(2025, 12, 18, 23, 0, tzinfo=UTC),
)  # fmt: skip
BARE = SignIn(user_id="u1", email="b@example.com", provider="google")
CASES = {
    "mn-full": FULL,
    "mn-bare": BARE,
    "en-full": SignIn(**{f: getattr(FULL, f) for f in FULL.__struct_fields__} | {"locale": "en-GB", "name": "Bat"}),
    "en-bare": SignIn(user_id="u1", email="b@example.com", provider="google", locale="en"),
    "mn-hovd": SignIn(**{f: getattr(FULL, f) for f in FULL.__struct_fields__} | {"time_zone": "Asia/Hovd"}),
}
LETTERS = Letters()
# With YB_NOTIFY and a link: each language, and a summary of each.
NOTED = Letters(reasoned=True, linked=True)
LINK = f"https://yellowbooks.example/not-me/{'AZaz09-_' * 12}"
SUMMARY = summary_samples()[0].groups


def mail(sign_in: SignIn) -> bytes:
    """The bytes that go to the server."""
    letter = LETTERS.write(sign_in, CREATED)
    return compose(
        sender=mailbox("Yellow Books <no-reply@yellowbooks.example>"), recipient=sign_in.email,
        subject=letter.subject, text=letter.text, html=letter.html, language=letter.language, key="job-1",
        date=CREATED,
    ).data  # fmt: skip


def noted_mail(language: str, *, summary: bool) -> bytes:
    """The bytes of a letter that says why it comes and has a link, or of a summary."""
    sign_in = CASES[f"{language}-full"]
    if summary:
        letter = NOTED.summarize(SUMMARY, sign_in.email, language, "Asia/Ulaanbaatar", LINK)
    else:
        letter = NOTED.write(sign_in, CREATED, "new_device", LINK)
    return compose(
        sender=mailbox("Yellow Books <no-reply@yellowbooks.example>"), recipient=sign_in.email, subject=letter.subject,
        text=letter.text, html=letter.html, language=letter.language, key="job-1", date=CREATED,
    ).data  # fmt: skip


def noted_mails() -> dict[str, bytes]:
    """All of them, by their names in `golden`."""
    return {
        f"{language}-{'summary' if summary else 'noted'}": noted_mail(language, summary=summary)
        for language in ("mn", "en") for summary in (False, True)
    }  # fmt: skip


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, sign_in in CASES.items():
        (GOLDEN / f"{name}.eml").write_bytes(mail(sign_in))
    for name, data in noted_mails().items():
        (GOLDEN / f"{name}.eml").write_bytes(data)
