"""What the parts tell becomes log lines; the only file that logs."""

import logging
import sys
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
        fields["exception"] = logging.Formatter().formatException(record.exc_info)
    return at, record.getMessage(), fields


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
