"""What the parts tell becomes log lines; the only file that logs."""

import logging
import re
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

WARNINGS = frozenset(
    {
        "dead", "retry", "lost", "queue_away", "unrenewed", "unreleased", "log_away", "log_shed", "failed",
        "restarted", "unfit", "weak", "smtp_down", "smtp_misconfigured", "smtp_policy", "alert",
        "alert_unsent", "missed", "spooling", "spool_full", "spool_failed", "spool_unread",
        "mail_flood", "turned_away", "keys_away", "keys_mended", "keys_unkept",
    }
)  # fmt: skip

Tell = Callable[..., None]
MOST_CAUSES = 5
_ADDRESS = re.compile(r"[^\s<>@:'\"(]{1,128}@[^\s<>@:'\")]{1,255}")
_SHOWN = re.compile(r"(exception=\w+)\(.*\)", re.DOTALL)  # asyncio: a task that failed and that nobody asked


def observer(role: str, log_format: str) -> Tell:
    """A `tell(word, **fields)` that writes one line a call to standard error; `role` names the process.

    `log_format` is «console», «json», or «auto»: console where standard error is a terminal.
    """
    plain = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Console() if plain else _Json())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logger = logging.getLogger(f"yellowbooks.{role}")
    logger.setLevel(logging.INFO)

    def tell(word: str, **fields: Any) -> None:
        level = logging.WARNING if word in WARNINGS else logging.INFO
        logger.log(level, word, extra={"fields": {k: v for k, v in fields.items() if v is not None}})

    return tell


def _parts(record: logging.LogRecord) -> tuple[datetime, str, dict[str, Any]]:
    at = datetime.fromtimestamp(record.created, UTC)
    fields = dict(getattr(record, "fields", {}))
    if record.exc_info and record.exc_info[0]:
        fields["exception"] = _frames(record.exc_info[1])
    if hasattr(record, "fields"):
        return at, record.getMessage(), fields
    return at, _foreign(record.getMessage()), fields


def _frames(error: BaseException | None) -> str:
    """Where in the code it was, and of what kind; not its words, which may hold what a caller sent."""
    chain: list[str] = []
    while error is not None and len(chain) < MOST_CAUSES:
        chain.append("".join(traceback.format_tb(error.__traceback__)) + type(error).__name__)
        error = error.__cause__ or error.__context__
    return "\n".join(reversed(chain))


def _foreign(message: str) -> str:
    """What a library says: it may show an exception, and so what a caller sent."""
    return _SHOWN.sub(r"\1(…)", _ADDRESS.sub("(address)", message))


class _Console(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at, message, fields = _parts(record)
        trace = fields.pop("exception", "")
        words = " ".join(f"{key}={value}" for key, value in fields.items())
        line = f"{at:%H:%M:%S} {record.name.rpartition('.')[2]:<8} {message:<10} {words}".rstrip()
        return f"{line}\n{trace}" if trace else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at, message, fields = _parts(record)
        line = {"at": at, "level": record.levelname.lower(), "role": record.name.rpartition(".")[2], "event": message}
        return msgspec.json.encode(line | fields).decode()
