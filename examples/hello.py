"""A second kind of job in one file: `YB_KINDS=examples.hello` gives it its POST, its retries and its dead letters."""

from yellowbooks.jobs import Kind, Lease, Payload


class Hello(Payload):
    name: str


async def greet(lease: Lease, hello: Hello) -> None:
    print(f"Hello {hello.name}, this is attempt {lease.attempt} of job {lease.job_id}")


KIND = Kind("hello", Hello, greet)
