"""The trail of operators' acts: it is written before an act is done, and only grows; the database sees to that."""

from typing import Any

import msgspec
from sqlalchemy import Row as Found
from sqlalchemy import Select, select

from yellowbooks.joblog.table import milliseconds_of, moment_of, operator_act


class OperatorAct(msgspec.Struct, frozen=True, kw_only=True):
    """One act. `at` is milliseconds since 1970; `who` is the name that the operator gave himself, `key` a short keyed
    hash of the key that he came with; `before` and `after` are JSON, or None; `id` is its place in the trail."""

    at: int
    who: str
    key: str
    act: str
    what: str
    before: Any = None
    after: Any = None
    reason: str = ""
    id: int = 0


def act_values(act: OperatorAct) -> dict[str, Any]:
    """The row of an act."""
    return {
        "at": moment_of(act.at), "who": act.who, "key": act.key, "act": act.act, "what": act.what,
        "before": _json(act.before), "after": _json(act.after), "reason": act.reason,
    }  # fmt: skip


def acts_page(limit: int, before: int | None, what: str | None) -> Select[Any]:
    """The newest acts, before a place in the trail, on one thing."""
    query = select(operator_act).order_by(operator_act.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(operator_act.c.id < before)
    if what is not None:
        query = query.where(operator_act.c.what == what)
    return query


def act_in(found: Found[Any]) -> OperatorAct:
    """The act in a row."""
    values = found._mapping
    return OperatorAct(
        id=values["id"], at=milliseconds_of(values["at"]) or 0, who=values["who"], key=values["key"],
        act=values["act"], what=values["what"], reason=values["reason"],
        before=_read(values["before"]), after=_read(values["after"]),
    )  # fmt: skip


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _read(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)
