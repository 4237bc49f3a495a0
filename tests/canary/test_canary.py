"""Marked people through the whole system: no mark outside the sealed bytes, and none at all once they were erased."""

import base64
import json
import quopri
import random
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.canary.marks import CYRILLIC, hits, key, marked
from tests.canary.run import run

ONE, OTHER = (marked(number, random.Random(number)) for number in range(2))
FORMS = {
    "in a log": lambda text: f'12:00 worker dead error="{text}"'.encode(),
    "JSON": lambda text: json.dumps({"error": text}).encode(),
    "JSON, as text": lambda text: json.dumps({"error": text}, ensure_ascii=False).encode(),
    "upper case": lambda text: text.upper().encode(),
    "percent": lambda text: quote(text, safe="").encode(),
    "quoted-printable": lambda text: quopri.encodestring(text.encode()),
    "base64": lambda text: base64.b64encode(f"a{text}".encode()),
    "base64, shifted": lambda text: base64.urlsafe_b64encode(f"ab {text}".encode()),
    "hex": lambda text: text.encode().hex().encode(),
    "UTF-16": lambda text: text.encode("utf-16-le"),
    "repr": lambda text: ascii({"error": text}).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_search_finds_every_mark_in_every_form(form: str) -> None:
    for one in (ONE, OTHER):
        for text in (one.user_id, one.email, one.name, one.ip_address, one.user_agent, CYRILLIC, key("api")):
            assert hits(b"before " + FORMS[form](text) + b" after"), (form, text)
    assert not hits(FORMS[form]("Бат, bat@example.com at 192.0.2.1"))


async def test_no_mark_outside_the_sealed_bytes_and_none_once_all_are_erased(short_folder: Path) -> None:
    outcome = await run(short_folder, 3, 7, commands=(2, 0), workers=1)
    assert outcome.before.total == 0, "\n".join(outcome.before.lines())
    assert outcome.undone == []
    assert outcome.after.total == 0, "\n".join(outcome.after.lines())
    assert outcome.erased > 3 * 5
    assert {202, 400, 401, 409} <= outcome.statuses.keys()
    assert (len(outcome.planted), outcome.found) == (7, sorted(outcome.planted))
