"""What a signature costs: CPU time a mail with its rendering, and the ratio to dkimpy in the same run.

`python -m bench.dkim`
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dkim
import msgspec

from yellowbooks.mail import Message, Signer, compose, mailbox, make_key
from yellowbooks.signin import Letters, SignIn

SENDER = mailbox("Yellow Books <no-reply@example.mn>")
EVENT = {
    "userId": "u1", "email": "bat@example.com", "name": "Бат", "provider": "github", "ipAddress": "192.168.1.100",
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
    "timestamp": "2025-12-18T23:00:00Z",
}  # fmt: skip


def cpu_ms(work: Callable[[int], object], times: int, rounds: int = 5) -> float:
    """CPU milliseconds a call: the median of the rounds."""
    found = []
    for _ in range(rounds):
        started = time.process_time()
        for number in range(times):
            work(number)
        found.append((time.process_time() - started) * 1000 / times)
    return statistics.median(found)


def main() -> None:
    letters, sign_in, created = Letters(), msgspec.convert(EVENT, SignIn), datetime(2025, 12, 18, 23, tzinfo=UTC)

    def render(number: int) -> Message:
        letter = letters.write(sign_in, created)
        return compose(
            sender=SENDER, recipient=sign_in.email, subject=letter.subject, text=letter.text, html=letter.html,
            language=letter.language, key=f"job-{number}", date=created,
        )  # fmt: skip

    folder = Path(tempfile.mkdtemp())
    keys = [make_key(name, folder / name, name) for name in ("rsa", "ed25519")]  # type: ignore[arg-type]
    pem, one = (folder / "rsa").read_bytes(), render(0)

    def theirs(_number: int) -> object:
        return dkim.sign(one.data, b"rsa", b"example.mn", pem, canonicalize=(b"relaxed", b"relaxed"))

    plain = cpu_ms(render, 500)
    print(f"render and compose alone        {plain:.3f} ms")
    print(f"RSA-2048, the bare operation    {cpu_ms(lambda _number: keys[0].sign(one.data[:900]), 300):.3f} ms")
    for name, chosen in (("RSA-2048", keys[:1]), ("Ed25519", keys[1:]), ("both", keys)):
        signer = Signer("example.mn", chosen)
        whole = cpu_ms(lambda number, sign=signer.sign: sign(render(number)), 300)  # type: ignore[misc]
        alone = cpu_ms(lambda _number, sign=signer.sign: sign(one), 300)  # type: ignore[misc]
        print(f"with {name:<9} the whole {whole:.3f} ms, the signature alone {alone:.3f} ms")
        if name == "RSA-2048":
            other = cpu_ms(theirs, 50)
            print(f"dkimpy, RSA-2048, signature     {other:.3f} ms, {other / alone:.1f} times ours")


if __name__ == "__main__":
    main()
