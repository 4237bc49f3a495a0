"""Bugs to plant, one at a time: the search must find each, or finding nothing would say nothing."""

from tests.model.explorer import Bug

SETTLE_FENCE = "\n    and sub(raw, 5, 20) == token\n"
BUGS = (
    Bug("settle without a fence", "settle", SETTLE_FENCE, "\n"),
    Bug("settle by token only, whatever the state", "settle", " and state == NUMBERS.processing\n", "\n"),
    Bug("commit without a fence", "prelude", "job.state == 'processing' and job.token == token", "true"),
    Bug("tokens alike in every claim", "claim", "token_of(#ids)", "'worker-100000000'"),
    Bug("the effect before the commit", effect_before_commit=True),
    Bug("answers before they are durable", forgetful_server=True),
    Bug("a lost worker's commit is forgotten", "claim", "local doubtful = job.committed", "local doubtful = false"),
    Bug("cancel after the commit", "cancel", "if job.committed then return 'committed' end", ""),
    Bug("a retry stands in no index", "settle", "call('ZADD', due_key, micros + (item.delay or 0) * 1000, job.id)", ""),
    Bug("a settled job keeps its lease", "settle", "  leave(id)\n", ""),
    Bug("an expired lease stays", "claim", "call('ZREM', leases_key, id)\n    if job and", "\n    if job and"),
    Bug("a lost worker's job is left out of the line", "claim", "enqueue_first(job)\n  move(job, 'enqueued', 'cr",
        "move(job, 'enqueued', 'cr"),
    Bug("a dead job stands in no group", "prelude", "  if fingerprint ~= '' then call('ZADD'",
        "  if false then call('ZADD'"),
)  # fmt: skip
