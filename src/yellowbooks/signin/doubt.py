"""How often nobody knew whether a mail had been taken: the count that second copies must stay within."""

from yellowbooks.jobs import Event

AMBIGUOUS_TOTAL = "yb_mail_ambiguous_total"
"""The name of that count, over all events of mails, where metrics are shown."""


def ambiguous(event: Event) -> bool:
    """Whether an attempt ended here with nobody knowing whether its mail was taken.

    It is so where the server was lost after the mail's text (`Uncertain`), and where the worker was lost after its
    commit: whoever finds that counts, not the one who died. A second copy can come of nothing else.
    """
    error = event.error or ""
    if event.name == "crashed":
        return "after its commit" in error
    return event.name in ("retried", "died") and error.startswith(("Uncertain: ", "uncertain: "))
