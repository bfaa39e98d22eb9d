"""Signatures: Standard Webhooks, the `t=…,v1=…` form, and compact signed tokens for browsers.

Sources: Standard Webhooks 1.0; decisions.md 15-16; sandbox.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets as random_secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

_WHSEC = "whsec_"


def generate_webhook_secret() -> str:
    """A fresh `whsec_` secret over 32 random bytes."""
    return _WHSEC + base64.b64encode(random_secrets.token_bytes(32)).decode()


def webhook_headers(event_id: str, body: bytes, secrets: Sequence[str], at: datetime) -> dict[str, str]:
    """The signature headers of one delivery attempt, in every form that receivers verify.

    With two secrets (while one is rolled) each form carries both signatures.
    """
    stamp = str(int(at.timestamp()))
    standard = f"{event_id}.{stamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.digest(_standard_key(s), standard, "sha256")).decode() for s in secrets
    ]
    timestamped = timestamped_signature(body, secrets, at)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(signatures),
        "Till-Signature": timestamped,
        "Stripe-Signature": timestamped,
    }


def timestamped_signature(body: bytes, secrets: Sequence[str], at: datetime) -> str:
    """`t=<unix>,v1=<hex HMAC-SHA256 of "t.body">`, one `v1` for each secret (OP-18)."""
    stamp = str(int(at.timestamp()))
    parts = [f"t={stamp}"]
    parts += [f"v1={_timestamped_digest(stamp, body, secret)}" for secret in secrets]
    return ",".join(parts)


def verify_timestamped(
    header: str, body: bytes, secrets: Sequence[str], now: datetime, tolerance_seconds: int = 300
) -> bool:
    """Whether a `t=…,v1=…` header signs `body` with one of the secrets, within the tolerance."""
    fields = [part.strip().partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in fields if name == "t"]
    given = [value for name, _, value in fields if name == "v1"]
    if len(stamps) != 1 or not given or not stamps[0].isascii() or not stamps[0].isdigit():
        return False
    if len(stamps[0]) > 12 or abs(now.timestamp() - int(stamps[0])) > tolerance_seconds:
        return False
    good = False
    for secret in secrets:
        expected = _timestamped_digest(stamps[0], body, secret)
        for value in given:
            good |= hmac.compare_digest(expected.encode(), value.encode())
    return good


def sign_token(kind: str, claims: dict[str, Any], key: bytes) -> str:
    """A compact token `payload.mac`, the same for the same claims; `exp` (unix seconds) ends it."""
    payload = base64.urlsafe_b64encode(
        json.dumps(claims, separators=(",", ":"), sort_keys=True).encode()
    ).rstrip(b"=")
    return f"{payload.decode()}.{_token_mac(kind, payload, key)}"


def read_token(kind: str, token: str, key: bytes, now: datetime) -> dict[str, Any] | None:
    """The claims of a good and unexpired token of this kind, else None."""
    payload, dot, mac = token.partition(".")
    if not dot or not token.isascii():
        return None
    if not hmac.compare_digest(_token_mac(kind, payload.encode(), key), mac):
        return None
    try:
        padded = payload + "=" * (-len(payload) % 4)
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, binascii.Error):
        return None
    return claims if claims.get("exp", 0) > now.timestamp() else None


def _token_mac(kind: str, payload: bytes, key: bytes) -> str:
    digest = hmac.digest(key, kind.encode() + b"." + payload, "sha256")
    return base64.urlsafe_b64encode(digest[:20]).rstrip(b"=").decode()


def _timestamped_digest(stamp: str, body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()


def _standard_key(secret: str) -> bytes:
    """A `whsec_` secret is base64; any other is used as its bytes (decisions.md 16)."""
    if secret.startswith(_WHSEC):
        try:
            return base64.b64decode(secret[len(_WHSEC) :], validate=True)
        except binascii.Error:
            pass
    return secret.encode()
