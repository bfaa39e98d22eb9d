"""Webhooks: is this delivery from Till, and what does it say.

Every delivery is signed twice with the endpoint's secret, as Standard Webhooks (`webhook-id`,
`webhook-timestamp`, `webhook-signature`) and as `t=…,v1=…` (`Till-Signature`); either proves it.
While a secret is rolled a delivery carries the signatures of both, and `verify` takes several secrets.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from payment_sdk.errors import ConfigurationError, InvalidResponseError, SignatureError
from payment_sdk.models.webhooks import WebhookEvent

#: Seconds by which the clocks of sender and receiver may differ; an older delivery may be a replayed one.
TOLERANCE = 300
_WHSEC = "whsec_"
#: Where the `t=…,v1=…` form stands, by who sends it.
_TIMESTAMPED = ("till-signature", "stripe-signature", "x-webhook-signature")


def verify(
    payload: bytes | str,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    tolerance: float = TOLERANCE,
    *,
    now: float | None = None,
) -> WebhookEvent:
    """The event of a delivery, once its signature and its age are proven.

    `payload` is the body as it came, not parsed; `headers` in any case of letters; `secret` the endpoint's
    `whsec_…`, or several while it is rolled; `tolerance` in seconds; `now` as Unix time, for tests.

    Raises:
        SignatureError: not signed with the secret, too old, or from the future. Answer 400.
        InvalidResponseError: signed, and not an event.
        ConfigurationError: a secret, the tolerance or the payload cannot be right.
    """
    body = _bytes(payload)
    secrets = _checked([secret] if isinstance(secret, str) else list(secret))
    if not 0 < tolerance < float("inf"):
        raise ConfigurationError("tolerance is a positive number of seconds")
    given = {str(name).lower(): str(value) for name, value in headers.items()}
    instant = time.time() if now is None else now
    standard = "webhook-signature" in given and _standard_holds(given, body, secrets, instant, tolerance)
    if not standard and not any(
        _timestamped_holds(given[name], body, secrets, instant, tolerance)
        for name in _TIMESTAMPED
        if name in given
    ):
        raise SignatureError("No signature of this secret, within its time, is on this delivery")
    try:
        return WebhookEvent.of(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise InvalidResponseError(f"Signed, and not JSON: {error}") from error


def sign(
    payload: bytes | str,
    secret: str | Sequence[str],
    *,
    event_id: str | None = None,
    timestamp: int | None = None,
) -> dict[str, str]:
    """The headers that Till would send with this body, to test a receiver with."""
    body = _bytes(payload)
    secrets = _checked([secret] if isinstance(secret, str) else list(secret))
    stamp = str(int(time.time()) if timestamp is None else timestamp)
    name = event_id or f"evt_{uuid4().hex}"
    timestamped = ",".join([f"t={stamp}", *(f"v1={_hex(stamp, body, one)}" for one in secrets)])
    return {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{_base64(name, stamp, body, one)}" for one in secrets),
        "Till-Signature": timestamped,
        "Stripe-Signature": timestamped,
    }


def _standard_holds(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float, tolerance: float
) -> bool:
    name, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not name or not _is_recent(stamp, now, tolerance):
        return False
    versioned = [part.partition(",") for part in headers["webhook-signature"].split()]
    given = [value for version, _, value in versioned if version == "v1"]
    return _any_equal(given, (_base64(name, stamp, body, secret) for secret in secrets))


def _timestamped_holds(
    header: str, body: bytes, secrets: Sequence[str], now: float, tolerance: float
) -> bool:
    fields = [part.strip().partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in fields if name == "t"]
    given = [value for name, _, value in fields if name == "v1"]
    if len(stamps) != 1 or not _is_recent(stamps[0], now, tolerance):
        return False
    return _any_equal(given, (_hex(stamps[0], body, secret) for secret in secrets))


def _any_equal(given: Sequence[str], expected: Iterable[str]) -> bool:
    """Whether one is among the others, in a time that does not tell how near it came."""
    found = False
    for right in expected:
        for value in given:
            found |= hmac.compare_digest(right.encode(), value.encode("utf-8", "replace"))
    return found


def _is_recent(stamp: str, now: float, tolerance: float) -> bool:
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        return False
    return abs(now - int(stamp)) <= tolerance


def _hex(stamp: str, body: bytes, secret: str) -> str:
    """The `v1` of the `t=…,v1=…` form, keyed with the secret as it stands."""
    return hmac.digest(secret.encode(), f"{stamp}.".encode() + body, "sha256").hex()


def _base64(event_id: str, stamp: str, body: bytes, secret: str) -> str:
    """The `v1` of Standard Webhooks, keyed with what a `whsec_` secret encodes."""
    key = secret.encode()
    if secret.startswith(_WHSEC):
        with suppress(binascii.Error):
            key = base64.b64decode(secret[len(_WHSEC) :], validate=True)
    signed = f"{event_id}.{stamp}.".encode() + body
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _checked(secrets: list[str]) -> list[str]:
    if not secrets or not all(isinstance(secret, str) and secret.strip() for secret in secrets):
        raise ConfigurationError("A webhook secret is missing; the endpoint's is shown once, when it is made")
    return secrets


def _bytes(payload: Any) -> bytes:
    if isinstance(payload, str):
        return payload.encode()
    if isinstance(payload, (bytes, bytearray, memoryview)):
        return bytes(payload)
    raise ConfigurationError("payload is the body as it came: bytes, before anything parses it")
