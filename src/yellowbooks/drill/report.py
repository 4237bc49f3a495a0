"""What became of every job that was accepted."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from yellowbooks.jobs import Job, State
from yellowbooks.signin import ambiguous


@dataclass(slots=True)
class Report:
    """`accepted` = `sent` + `held` + `dead` + `uncertain`.

    Sent: the server has the mail and the queue knows. Held: it waits in the queue. Dead: no attempt can send it.
    Uncertain: it is dead, and nobody knows whether the server has it. `lost` should be sent, and the server has
    nothing; `copies` are second mails, and at most `doubts`, the attempts after which nobody knew; `crashes` are the
    attempts that the killed worker left.
    """

    accepted: int = 0
    sent: int = 0
    held: int = 0
    dead: int = 0
    uncertain: int = 0
    lost: int = 0
    copies: int = 0
    doubts: int = 0
    crashes: int = 0
    steps: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether every job is accounted for, and no copy came of nothing."""
        accounted = self.sent + self.held + self.dead + self.uncertain
        return 0 < self.accepted == accounted and not self.lost and self.copies <= self.doubts

    def count(self, jobs: Mapping[str, Job | None], taken: "Counter[str]") -> None:
        """Account for these jobs, by the address that each was for, against what the server took."""
        self.accepted = len(jobs)
        for address, job in jobs.items():
            if job is None:
                self.lost += 1
                continue
            self.doubts += sum(ambiguous(event) for event in job.history)
            self.crashes += sum(event.name == "crashed" for event in job.history)
            self.copies += max(0, taken[address] - 1)
            if job.state is State.COMPLETED:
                self.sent += 1
                self.lost += not taken[address]
            elif job.state is State.DEAD and any(ambiguous(event) for event in job.history):
                self.uncertain += 1
            elif job.state is State.DEAD:
                self.dead += 1
            else:
                self.held += 1
