"""A kind whose handler tells all that it knows, in every way that it has: errors, causes, its history, its answer."""

from yellowbooks.jobs import Backoff, Failure, Kind, Lease, Payload


class Leaky(Payload):
    """A sign-in's fields, for a handler that cannot keep them to itself."""

    user_id: str
    email: str
    provider: str
    name: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None

    def key(self) -> str | None:
        """The user."""
        return self.user_id

    def about(self) -> dict[str, str]:
        """Him and his address."""
        return {"user": self.user_id, "address": self.email}


async def tell_all(lease: Lease, leaky: Leaky) -> str:
    """Fails twice and dies, or ends with many words."""
    await lease.log(f"working for {leaky.name} <{leaky.email}>")
    if sum(map(ord, leaky.user_id)) % 2:
        return f"told {leaky.email} at {leaky.ip_address}"
    try:
        raise KeyError(leaky.email, leaky.name)
    except KeyError as error:
        raise Failure(f"no {leaky!r} of {error}", cause=f"{leaky.user_id} is unknown") from error


KIND = Kind("leaky", Leaky, tell_all, backoff=Backoff(attempts=2, base=0.05))
