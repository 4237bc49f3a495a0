"""Cookies that the site signs: who is signed in, and which sign-in is under way. Nobody can write one but the site."""

import base64
import binascii
import hmac
import time
from typing import Any

import msgspec
from litestar.datastructures import Cookie

SESSION = "yb_demo"
PENDING = "yb_demo_sign_in"
LANGUAGE = "yb_demo_language"
SESSION_SECONDS = 8 * 3600
PENDING_SECONDS = 600
LANGUAGE_SECONDS = 365 * 86_400


class Signer:
    """Signs by a key that lives as long as the process."""

    def __init__(self, key: bytes, *, secure: bool) -> None:
        self._key = key
        self._secure = secure

    def cookie(self, name: str, value: Any, seconds: int) -> Cookie:
        """A cookie that this site alone can write and that no script reads; good for so many seconds."""
        body = base64.urlsafe_b64encode(msgspec.json.encode({"value": value, "until": time.time() + seconds})).decode()
        text = f"{body}.{self._mac(name, body)}"
        return Cookie(
            key=name, value=text, max_age=seconds, path="/", httponly=True, samesite="lax", secure=self._secure
        )

    def read(self, name: str, text: str | None) -> Any:
        """What a cookie of this name holds; None where it is missing, forged or too old."""
        body, _, mac = (text or "").partition(".")
        if not hmac.compare_digest(self._mac(name, body).encode(), mac.encode("utf-8", "replace")):
            return None
        try:
            found = msgspec.json.decode(base64.urlsafe_b64decode(body))
        except (msgspec.DecodeError, binascii.Error, ValueError):
            return None
        return found["value"] if found["until"] > time.time() else None

    def forget(self, name: str) -> Cookie:
        """The end of a cookie."""
        return Cookie(key=name, value="", max_age=0, path="/", httponly=True, samesite="lax", secure=self._secure)

    @staticmethod
    def plain(name: str, text: str, seconds: int) -> Cookie:
        """A cookie that needs no signature, such as a language."""
        return Cookie(key=name, value=text, max_age=seconds, path="/", httponly=True, samesite="lax")

    def _mac(self, name: str, body: str) -> str:
        return hmac.new(self._key, f"{name}.{body}".encode("utf-8", "surrogatepass"), "sha256").hexdigest()
