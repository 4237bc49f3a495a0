"""Every source: how it proves its requests, and how its events are read. A new source is a file and a line here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from yellowbooks.webhooks.body import Body
from yellowbooks.webhooks.normal import Ignored, SignedIn
from yellowbooks.webhooks.schemes import HexSignature, Scheme, StandardWebhooks, Token, WorkOsSignature
from yellowbooks.webhooks.sources import auth0, better_auth, clerk, keycloak, kratos, logto, own, supabase, workos


@dataclass(frozen=True, slots=True)
class Source:
    """Who sends. `batch`: a request holds several events. `answer`: what the sender waits for, whatever came of it."""

    scheme: Scheme
    read: Callable[[Body], SignedIn | Ignored]
    batch: bool = False
    answer: Callable[[Body], dict[str, Any] | None] | None = None


STANDARD = StandardWebhooks()
SOURCES: dict[str, Source] = {
    "auth0": Source(Token(), auth0.read, batch=True),
    "better-auth": Source(STANDARD, better_auth.read),
    "clerk": Source(STANDARD, clerk.read),
    "keycloak": Source(HexSignature("x-keycloak-signature"), keycloak.read),
    "kratos": Source(Token(), kratos.read),
    "logto": Source(HexSignature("logto-signature-sha-256"), logto.read),
    "own": Source(STANDARD, own.read),
    "supabase": Source(STANDARD, supabase.read, answer=supabase.answer),
    "workos": Source(WorkOsSignature(), workos.read),
}
