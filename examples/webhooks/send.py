"""Sends one sign-in of an application of your own as a signed webhook; needs nothing but Python."""

import base64
import hmac
import json
import os
import time
import urllib.request


# region send
def tell_yellow_books(event: dict, url: str, secret: str) -> dict:
    """Send one sign-in; the answer says what became of it. Repeat it with the same eventId until you get one."""
    body = json.dumps({"type": "sign-in", "timestamp": event["occurredAt"], "data": event}).encode()
    message, stamp = event["eventId"], str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = hmac.digest(key, f"{message}.{stamp}.".encode() + body, "sha256")
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }
    request = urllib.request.Request(f"{url}/api/webhooks/own", body, headers)
    with urllib.request.urlopen(request, timeout=5) as reply:
        return json.load(reply)


# endregion send

if __name__ == "__main__":
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    sign_in = {
        "eventId": f"session-{time.time_ns()}",
        "occurredAt": moment,
        "userId": "u1",
        "email": "bat@example.com",
        "name": "Бат",
        "provider": "github",
        "ipAddress": "192.0.2.44",
    }
    url = os.environ.get("YELLOWBOOKS_URL", "http://127.0.0.1:3333")
    print(tell_yellow_books(sign_in, url, os.environ["YELLOWBOOKS_SECRET"]))
