"""Auth0, a custom webhook log stream: batches of tenant logs.

Shape: auth0.com/docs/customize/log-streams/custom-log-streams (JSON array, lines or object of `{log_id, data}`) and
auth0.com/docs/deploy-monitor/logs/log-event-type-codes: `s` is a successful login; `ssa` (silent authentication) and
`seacft` (code for token) are none. `user_name` is the address in most connections. The stream repeats `log_id`.
"""

from yellowbooks.webhooks.body import Body
from yellowbooks.webhooks.normal import Ignored, SignedIn

SUCCESS = "s"
NO_ADDRESS = "the connection's user name is no address, and the log has no other"


def read(item: Body) -> SignedIn | Ignored:
    """One log of a batch."""
    log = item.body("data")
    kind = log.text("type")
    if kind != SUCCESS:
        return Ignored(f"logs of type {kind[:20]} are no sign-ins")
    user, email = log.text("user_id"), log.text("user_name")
    if "@" not in email:
        return Ignored(NO_ADDRESS, missed=True)
    logins = log.number("details.stats.loginsCount")
    return SignedIn(
        event_id=item.maybe("log_id") or log.text("log_id"),
        occurred_at=log.moment("date"),
        user_id=user,
        email=email,
        provider=log.maybe("strategy") or log.maybe("connection") or "auth0",
        ip_address=log.maybe("ip"),
        user_agent=log.maybe("user_agent"),
        is_new_user=None if logins is None else logins == 1,
        session_id=log.maybe("details.session_id"),
    )
