"""The recorded events, and how each source would send them."""

import base64
import hmac
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from yellowbooks.webhooks import SOURCES

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_STANDARD = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PLAIN = "a-secret-of-the-source"
SECRETS = {
    name: STANDARD if name in ("better-auth", "clerk", "own", "supabase") else PLAIN for name in SOURCES
} | {"supabase": f"v1,{STANDARD}"}  # fmt: skip


def recorded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def source_of(path: Path) -> str:
    return "keycloak" if path.stem.startswith("keycloak") else path.stem


def fresh(path: Path) -> dict[str, Any]:
    """The body of a recorded event as if it happened now."""
    now = datetime.now(UTC)
    text = json.dumps(recorded(path)["body"], ensure_ascii=False)
    text = text.replace("2026-11-25T04:30:00.120", now.isoformat(timespec="milliseconds")[:23])
    body: dict[str, Any] = json.loads(text.replace("1795581000120", str(round(now.timestamp() * 1000))))
    return body


def signed(
    source: str, body: bytes, secret: str = "", at: float | None = None, message: str = "msg_1"
) -> dict[str, str]:
    """The headers that the source would send with this body, written anew from its documents."""
    secret = secret or SECRETS[source]
    moment = time.time() if at is None else at
    if source in ("auth0", "kratos"):
        return {"Authorization": f"Bearer {secret}"}
    if source in ("keycloak", "logto"):
        name = {"keycloak": "X-Keycloak-Signature", "logto": "logto-signature-sha-256"}[source]
        return {name: hmac.new(secret.encode(), body, "sha256").hexdigest()}
    if source == "workos":
        stamp = str(int(moment * 1000))
        digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, "sha256").hexdigest()
        return {"WorkOS-Signature": f"t={stamp}, v1={digest}"}
    prefix = "svix" if source == "clerk" else "webhook"
    stamp = str(int(moment))
    key = base64.b64decode(secret.rpartition("whsec_")[2])
    digest = hmac.new(key, f"{message}.{stamp}.".encode() + body, "sha256").digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {f"{prefix}-id": message, f"{prefix}-timestamp": stamp, f"{prefix}-signature": signature}
