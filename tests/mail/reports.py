"""Delivery reports as mail servers write them."""

from tests.mail.test_message import DATE
from yellowbooks.mail import Message, compose, mailbox

SECRET = b"a-secret-of-this-test"


def sent(recipient: str = "bat@example.com", key: str = "job-1", secret: bytes = SECRET) -> Message:
    """A mail that we sent."""
    return compose(
        sender=mailbox("Yellow Books <no-reply@example.mn>"), recipient=recipient, subject="Сайн уу", text="hello\n",
        html="<p>hello</p>", language="mn", key=key, date=DATE, secret=secret,
    )  # fmt: skip


def report(
    mail: Message, *, recipient: str = "", status: str = "5.1.1", action: str = "failed", words: str = "",
    headers_only: bool = False, original: str = "",
) -> bytes:  # fmt: skip
    """A report as Postfix makes it; `recipient` is whom it names, the mail's own where it is not given."""
    recipient = recipient or mail.recipient
    words = words or f"550 {status} <{recipient}>: Recipient address rejected: User unknown"
    head = mail.data.partition(b"\r\n\r\n")[0] + b"\r\n"
    returned = (b"text/rfc822-headers", head) if headers_only else (b"message/rfc822", mail.data)
    return b"".join(
        [
            b"From: MAILER-DAEMON@mx.example.com (Mail Delivery System)\r\n",
            b"Subject: Undelivered Mail Returned to Sender\r\n",
            b"To: no-reply@example.mn\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n",
            b'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="B/mx"\r\n\r\n',
            b"This is a MIME-encapsulated message.\r\n\r\n--B/mx\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
            b"I'm sorry to have to inform you that your message could not be delivered.\r\n\r\n",
            b"--B/mx\r\nContent-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n",
            b"Reporting-MTA: dns; mx.example.com\r\nArrival-Date: Thu, 02 Jan 2025 03:04:05 +0000\r\n\r\n",
            f"Final-Recipient: rfc822; {recipient}\r\n".encode(),
            f"Original-Recipient: rfc822;{original}\r\n".encode() if original else b"",
            f"Action: {action}\r\nStatus: {status}\r\nRemote-MTA: dns; mx2.example.com\r\n".encode(),
            f"Diagnostic-Code: smtp; {words}\r\n\r\n".encode(),
            b"--B/mx\r\nContent-Description: Undelivered Message\r\nContent-Type: " + returned[0] + b"\r\n\r\n",
            returned[1] + b"\r\n--B/mx--\r\n",
        ]
    )
