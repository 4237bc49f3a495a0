"""Templates of one's own: what they may do, and how a mistake in them is said: file, line, reason."""

import re
from pathlib import Path

import pytest

from tests.signin.cases import CREATED, FULL
from yellowbooks.mail import lint, mailbox
from yellowbooks.signin import Letters, TemplateFault, lint_templates, preview_page
from yellowbooks.signin.forms import HTML, OURS, SUMMARY_HTML, SUMMARY_TEXT, TEXT, WORDS
from yellowbooks.signin.samples import sample_mails, samples

SENDER = mailbox("Yellow Books <no-reply@yellowbooks.example>")


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def where(path: Path, words: str) -> int:
    """The line on which some words begin."""
    text = path.read_text("utf-8")
    return text.count("\n", 0, text.index(words)) + 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of our templates, to be spoilt."""
    for path in OURS.rglob("*"):
        if path.is_file():
            (tmp_path / path.relative_to(OURS)).parent.mkdir(exist_ok=True)
            (tmp_path / path.relative_to(OURS)).write_bytes(path.read_bytes())
    return tmp_path


def test_our_templates_have_no_finding() -> None:
    assert lint_templates(None, SENDER) == []


def test_every_language_and_variant_is_looked_at() -> None:
    mails = list(sample_mails(Letters(), SENDER))
    assert {language for language, _, _ in mails} == {"mn", "en"}
    assert {sample.name for _, sample, _ in mails} == {
        "github", "google", "unknown provider", "no name", "no browser", "no IP address", "long values",
    }  # fmt: skip
    assert all(not list(sample.sign_in.faults()) for sample in samples())
    assert all(lint(mail.data) == [] for _, _, mail in mails)


def test_a_file_of_ones_own_goes_before_ours(tmp_path: Path) -> None:
    (tmp_path / TEXT).write_text("{{ name }}! {{ words.intro }} 100%\n", "utf-8")
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / TEXT).write_text("Only English, {{ provider }}\n", "utf-8")
    letters = Letters(tmp_path)
    assert (
        letters.write(FULL, CREATED).text.plain() == "Бат! Таны Yellow Books бүртгэлд амжилттай нэвтэрсэн байна. 100%\n"
    )
    english = letters.write(samples_in("en"), CREATED)
    assert english.text.plain() == "Only English, github\n"
    assert "<h1" in english.html.plain()  # what the folder lacks is ours


def test_summaries_and_letters_with_a_reason_and_a_link_are_looked_at_too(folder: Path) -> None:
    mails = list(sample_mails(Letters(reasoned=True, linked=True), SENDER))
    names = {sample.name for _, sample, _ in mails}
    assert {"github", "summary", "long summary"} <= names
    assert all(lint(mail.data) == [] for _, _, mail in mails)
    changed(folder / SUMMARY_TEXT, "   {{ row.ip }}\n", "")
    changed(folder / HTML, 'href="{{ link }}"', 'href="https://evil.example/{{ link }}"')
    found = {(one.file.name, one.line, one.id) for one in lint_templates(folder, SENDER)}
    facts = where(folder / SUMMARY_HTML, "<td valign")
    assert found == {(HTML, where(folder / HTML, "evil.example"), "I4"), (SUMMARY_HTML, facts, "A9")}


def samples_in(language: str) -> object:
    return type(FULL)(**{f: getattr(FULL, f) for f in FULL.__struct_fields__} | {"locale": language})


def test_a_language_is_added_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    words = (OURS / "en" / WORDS).read_text("utf-8").replace('"Hello"', '"Guten Tag"')
    (tmp_path / "de" / WORDS).write_text(words, "utf-8")
    letter = Letters(tmp_path).write(samples_in("de-AT"), CREATED)
    assert letter.language == "de"
    assert letter.text.plain().startswith("Guten Tag Бат,")
    assert '<html lang="de"' in letter.html.plain()
    assert lint_templates(tmp_path, SENDER) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "why"),
    [
        (f"en/{WORDS}", "subject = ", "subjekt = ", "unknown field `subjekt`"), (f"mn/{WORDS}", 'subject = "', '#"', "missing required field `subject`"),
        (f"mn/{WORDS}", "intro = ", "extra = 1\nintro = ", "unknown field `extra`"), (f"en/{WORDS}", 'intro = "', "intro = 7 #", "Expected `str`, got `int`"),
        (f"en/{WORDS}", 'ip = "', "ip = ", "Invalid"), (f"en/{WORDS}", 'date = "{day} ', 'date = "{dag} ', "dag"),
        (f"en/{WORDS}", 'date = "{day} ', 'date = "{day.x} ', "made of year, month"), (f"en/{WORDS}", 'date = "', 'months = []\ndate = "', "Cannot overwrite a value"),
        (TEXT, "{% if name %}", "{% if name", "expected token 'end of statement block'"), (TEXT, "{{ ip }}", "{{ ips }}", "'ips' is undefined"),
        (HTML, "{{ words.intro }}", "{{ words.introduction }}", "introduction"), (TEXT, "{{ name }}", "{{ name|upper }}", "changes NAME by a filter"),
        (TEXT, "{{ name }}", "{{ name|truncate(3) }}", "looks into name"), (TEXT, "{{ provider }}", "{% if provider == 'github' %}x{% endif %}", "looks into provider"),
        (TEXT, "{{ ip }}", "{{ ip|int }}", "looks into ip"), (TEXT, "{{ ip }}", "{% if 'x' in ip %}{% endif %}", "looks into ip"), (TEXT, "{{ ip }}", "{{ ip[0] }}", "looks into ip"),
        (TEXT, "{{ ip }}", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"), (TEXT, "{{ ip }}", "{{ range(999999)|list }}", "Range too big"),
        (TEXT, "{{ ip }}", "{% include '/etc/passwd' %}", "no loader"), (TEXT, "{{ ip }}", "{{ 1 // 0 }}", "zero"),
    ],
)  # fmt: skip
def test_a_fault_names_file_line_and_reason(folder: Path, file: str, old: str, new: str, why: str) -> None:
    changed(folder / file, old, new)
    with pytest.raises(TemplateFault) as caught:
        Letters(folder)
    line = where(folder / file, new if "overwrite" not in why else 'months = ["January')
    assert why in caught.value.why
    assert str(caught.value).startswith(f"{folder / file}, line {line}: ")


def test_months_are_twelve_or_none(folder: Path) -> None:
    changed(folder / "en" / WORDS, ', "December"', "")
    with pytest.raises(TemplateFault, match="months must be twelve, or none"):
        Letters(folder)


@pytest.mark.parametrize(
    "name", ["mail.htm", "mn/mail.text", "words.toml", "mn/x/mail.txt", "README.md", "Mongolian/mail.txt"]
)
def test_a_file_without_a_place_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("x", "utf-8")
    with pytest.raises(TemplateFault, match="rename or remove it"):
        Letters(tmp_path)


def test_what_an_editor_or_a_tool_leaves_is_no_fault(tmp_path: Path) -> None:
    for name in (".git/config", ".mail.txt.swp", "mail.txt~"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x", "utf-8")
    assert Letters(tmp_path).languages == ["en", "mn"]


def test_a_folder_that_is_none_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(TemplateFault, match="is no folder"):
        Letters(tmp_path / "none")
    (tmp_path / TEXT).write_bytes(b"one\ntwo \xff\n")
    with pytest.raises(TemplateFault, match="line 2: is not UTF-8"):
        Letters(tmp_path)


def test_a_new_language_needs_its_words(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    with pytest.raises(TemplateFault, match=r"words.toml, line 1: is missing"):
        Letters(tmp_path)


@pytest.mark.parametrize(
    ("id_", "file", "old", "new"),
    [
        ("A3", HTML, '<table width="100%" border="0"', '<table width="100%"'), ("I4", HTML, "{{ words.intro }}", "<b>See evil.mn</b> {{ words.intro }}"),
        ("A4", HTML, "<p style=\"margin:16px 0 0", "<p style=\"color:#ffe9a8;margin:16px 0 0"), ("H8", HTML, "{{ words.intro }}", '<img src="x">{{ words.intro }}'),
        ("A4", HTML, '<p style="margin:16px 0 0', '<p style="font-size:11px;margin:16px 0 0'), ("A8", TEXT, "{{ words.greeting }}", "{{ words.greeting }}{{ words.team }} " + "word " * 20),
        ("L3", f"en/{WORDS}", 'team = "', 'team = "Asia/Ulaanbaatar '), ("L6", f"mn/{WORDS}", 'thanks = "Б', 'thanks = "єнєєдєр Б'),
        ("L7", f"en/{WORDS}", 'advice = "', 'advice = "Change your Yellow Books password. '), ("I2", f"en/{WORDS}", 'warning = "', 'warning = "\u200b'),
        ("A8", f"en/{WORDS}", 'warning = "', 'warning = "' + "word " * 20),
    ],
)  # fmt: skip
def test_a_finding_names_the_template_and_its_line(folder: Path, file: str, old: str, new: str, id_: str) -> None:
    changed(folder / file, old, new)
    found = {(one.file, one.line, one.id) for one in lint_templates(folder, SENDER)}
    assert (folder / file, where(folder / file, new), id_) in found


def test_the_preview_shows_every_letter_in_every_form() -> None:
    page = preview_page(Letters(), SENDER)
    shown = re.findall(r'<iframe class="(\w+)" title="(\w+), ([\w ]+), [\w ]+" sandbox', page)
    assert set(shown) == {
        (form, language, sample.name)
        for form in ("light", "dark", "narrow", "bare") for language in ("mn", "en") for sample in samples()
    }  # fmt: skip
    assert page.count("0 findings") == 14
    assert page.count("<pre>") == 14
    assert "prefers-color-scheme" not in page
    assert not re.search(r"https?://|<script|src=", page)
