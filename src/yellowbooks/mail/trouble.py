"""What may come of a mail that was not simply taken. Each has a `cause`, `host:phase:code`, which groups its sort."""

from yellowbooks.mail.reply import Reply


class Trouble(Exception):
    """A mail was not taken; `cause` says by whom, when and how, in words that are the same for all of the sort."""

    def __init__(self, why: str, cause: str) -> None:
        super().__init__(why)
        self.cause = cause


class Refused(Trouble):
    """The server refused the mail; `reply` has its words and what they mean."""

    def __init__(self, reply: Reply, host: str) -> None:
        super().__init__(f"the SMTP server said {reply}", reply.cause(host))
        self.reply = reply


class Unreachable(Trouble):
    """No server took the mail as far as its text; it was not sent."""


class Unusable(Trouble):
    """No server can be used, and that was known before this mail or is true of every mail; it was not sent.

    `seconds` is how soon to try again.
    """

    def __init__(self, why: str, cause: str, seconds: float) -> None:
        super().__init__(why, cause)
        self.seconds = seconds


class DeliveryUncertain(Trouble):
    """The connection was lost between the mail's text and the server's answer: nobody knows (RFC 1047)."""
