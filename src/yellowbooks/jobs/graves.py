"""Dead jobs as the server keeps them: all of them, and those that have a fingerprint in common, newest first.

A place is the position of a job's death as one number: its time (ms since 1970) times 2048, and the order within.
"""

from collections.abc import Iterable, Sequence

import msgspec

from yellowbooks.jobs import record
from yellowbooks.jobs.job import Job
from yellowbooks.jobs.link import Link
from yellowbooks.jobs.verbs import Group

PLACES = 2048  # a millisecond


class Graves:
    """The part of a queue that looks at dead jobs."""

    tag: str
    link: Link

    async def dead(self, count: int, before: str | None = None) -> tuple[list[Job], str | None, int]:
        """Dead jobs, newest first; also the cursor of the next page (None: no more) and how many there are.

        `before` is a cursor from an earlier page. Raises `ValueError` where it is none.
        """
        page = await self.buried(count + 1, below=int(before) if before else None)
        total = await self.link.reach(lambda: self.link.client.zcard(f"{self.tag}:dead"))
        jobs = await self.shown([job_id for _, job_id in page[:count]])
        cursor = str(page[count - 1][0]) if len(page) > count else None
        return [job for job in jobs if job], cursor, total

    async def buried(
        self, count: int, *, above: int | None = None, below: int | None = None, group: str = ""
    ) -> list[tuple[int, str]]:
        """Places and ids of dead jobs, newest first, from the place `above` on and below another; of one group."""
        key = f"{self.tag}:died:{group}" if group else f"{self.tag}:dead"
        bounds = _top(below), _bottom(above)
        page = await self.link.reach(
            lambda: self.link.client.zrevrangebyscore(key, *bounds, start=0, num=count, withscores=True)
        )
        return [(int(place), job_id.decode()) for job_id, place in page]

    async def group(self, above: int | None = None, below: int | None = None) -> list[Group]:
        """The groups of dead jobs that died from a place on and below another. What an older version of the queue did
        to the dead letters is taken in first."""
        found: dict[str, Group] = {}
        word, cursor = "mend", "0"
        while word != "done":
            word, cursor, groups = await self.link.call(
                "group", phase=word, cursor=cursor, above=_bottom(above), below=_top(below)
            )
            found |= {group.id: group for group in groups}
        return list(found.values())

    async def shown(self, job_ids: Sequence[str]) -> list[Job | None]:
        """What the queue knows of each of these jobs."""
        found = zip(job_ids, await self.records(job_ids), strict=True)
        return [record.job_of(job_id, raw, story) for job_id, (raw, story) in found]

    async def records(self, job_ids: Sequence[str]) -> list[tuple[bytes, bytes]]:
        """The record and the story of each of these jobs, as they are kept; b"" where there is none."""
        if not job_ids:
            return []
        keys = [f"{self.tag}:{part}:{job_id}" for job_id in job_ids for part in ("job", "story")]
        values = await self.link.reach(lambda: self.link.client.mget(keys))
        return [(values[n] or b"", values[n + 1] or b"") for n in range(0, len(values), 2)]


def _top(below: int | None) -> str:
    return "+inf" if below is None else f"({below}"


def _bottom(above: int | None) -> str:
    return "-inf" if above is None else str(above)


def together(lists: Iterable[Sequence[Group]]) -> list[Group]:
    """The groups of a queue from those of its partitions."""
    found: dict[str, Group] = {}
    for group in (group for groups in lists for group in groups):
        other = found.get(group.id)
        if other:
            count, newest = other.count + group.count, max(other.newest, group.newest)
            group = msgspec.structs.replace(group, count=count, newest=newest)  # noqa: PLW2901  both of them
        found[group.id] = group
    return list(found.values())


async def dead_of_all(
    parts: Sequence[Graves], pages: Sequence[tuple[list[Job], str | None, int]], count: int
) -> tuple[list[Job], str | None, int]:
    """One page from the first `pages` of all partitions; it has all that died in the millisecond of its last."""
    total = sum(page[2] for page in pages)
    jobs = sorted((job for page in pages for job in page[0]), key=_died, reverse=True)
    if not any(page[1] for page in pages) and len(jobs) <= count:
        return jobs, None, total
    last = _died(jobs[:count][-1])
    found = [job for job in jobs if _died(job) >= last]
    for part, (page, cursor, _) in zip(parts, pages, strict=True):
        while cursor and page and _died(page[-1]) >= last:
            page, cursor, _ = await part.dead(count, cursor)  # noqa: PLW2901  the pages that follow
            found += [job for job in page if _died(job) >= last]
    return found, str(last * PLACES), total


def _died(job: Job) -> int:
    return job.ended or 0
