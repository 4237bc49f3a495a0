"""What schemathesis cannot read from the OpenAPI document: texts whose rules no schema can say. It loads this file."""

import zoneinfo
from datetime import datetime

import schemathesis
from hypothesis import strategies as st

from tests.mail.reports import report, sent

SECRET = "a-secret-of-the-mails"
WORDS = st.from_regex(r"\A[a-z][a-z0-9]{0,12}\Z")
# At the bounds of their lengths: to be there by chance would take long.
LONG = st.sampled_from([255, 256, 257, 4095, 4096, 4097]).map("x".__mul__)
PLAIN = LONG | st.text(
    st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), min_size=1, max_size=40
).filter(lambda text: "=?" not in text and bool(text.strip()))
DOMAIN = ".".join(["x" * 62] * 3)
EMAILS = st.builds(lambda name, host: f"{name}@{host}.mn", WORDS, WORDS) | st.sampled_from([253, 254, 255]).map(
    lambda length: f"{'x' * (length - len(DOMAIN) - 4)}@{DOMAIN}.mn"
)
FIRST, LAST = (datetime.fromisoformat(day) for day in ("2000-01-02", "2099-12-30"))
# A leap second or a thirtieth of February fits the pattern and is no time.
MOMENTS = st.datetimes(min_value=FIRST, max_value=LAST).map(
    lambda moment: moment.replace(microsecond=0).isoformat() + "Z"
)
REPORTS = st.builds(
    lambda email, status, action: report(sent(email, secret=SECRET.encode()), status=status, action=action),
    EMAILS, st.sampled_from(["5.1.1", "4.2.2", "5.7.1"]), st.sampled_from(["failed", "delayed", "delivered"]),
)  # fmt: skip

schemathesis.openapi.format("plain-text", PLAIN)
schemathesis.openapi.format("email", EMAILS)
schemathesis.openapi.format("date-time", MOMENTS)
schemathesis.openapi.format("time-zone", st.sampled_from(sorted(zoneinfo.available_timezones())))
schemathesis.openapi.media_type("message/rfc822", REPORTS)
