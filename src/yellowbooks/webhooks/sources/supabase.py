"""Supabase Auth: the custom access token hook, which runs whenever a token is made.

Shape: supabase/auth, internal/hooks/v0hooks/v0hooks.go (`CustomAccessTokenInput`) and
supabase.com/docs/guides/auth/auth-hooks/custom-access-token-hook. The hook is awaited by the sign-in and its answer
must hold the claims, so they are given back as they came, whatever becomes of the mail. `webhook-id` is new in every
retry; the session's id is not, and is the same when a second factor completes the sign-in.
"""

from typing import Any

from yellowbooks.webhooks.body import Body
from yellowbooks.webhooks.normal import Ignored, SignedIn

# The other methods renew a session, complete it, or give a token to somebody else's application.
SIGN_INS = frozenset(
    {"oauth", "password", "otp", "recovery", "invite", "sso/saml", "magiclink", "email/signup", "web3", "passkey"}
)


def read(item: Body) -> SignedIn | Ignored:
    """One token."""
    method, claims = item.text("authentication_method"), item.body("claims")
    if method not in SIGN_INS:
        return Ignored(f"a token by {method[:60]} is no sign-in")
    email = claims.maybe("email")
    if email is None:
        return Ignored("the user has no e-mail address", missed=True)
    return SignedIn(
        event_id=claims.maybe("session_id") or item.text("metadata.uuid"),
        occurred_at=item.moment("metadata.time"),
        user_id=item.text("user_id"),
        email=email,
        name=claims.maybe("user_metadata.full_name") or claims.maybe("user_metadata.name"),
        provider=(claims.maybe("app_metadata.provider") if method == "oauth" else None) or method,
        ip_address=item.maybe("metadata.ip_address"),
        session_id=claims.maybe("session_id"),
    )


def answer(item: Body) -> dict[str, Any] | None:
    """The claims as they came; None where there are none to give back."""
    claims = item.value.get("claims")
    return {"claims": claims} if isinstance(claims, dict) else None
