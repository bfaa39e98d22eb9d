"""A fraud service of the merchant's own, asked over HTTP.

We post the facts as JSON, signed with the merchant's `fraud` secret (OP-18); it answers
`{"score": 0..100, "action"?: "allow|challenge|deny", "reasons"?: [{"code", "weight"?, "text"?}]}` within
`TIMEOUT_SECONDS`. Anything else is no opinion. One that has failed several times in a row is left alone for a
while, so that its outage does not make every shopper wait.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from app import settings
from app.domain.rules.fraud import MAX_SCORE, Action, Assessment, Facts, Reason, Rule
from app.kit import clock, signing, strict_json
from app.kit.breaker import Breaker
from app.kit.http import AddressRefused, Answer, ConnectionFailed, SafeClient, TimedOut
from app.providers.base import FraudProviderFailed

#: A shopper waits meanwhile.
TIMEOUT_SECONDS = 2.0
#: By merchant and address: what one merchant is refused says nothing about another.
BREAKER = Breaker()
MAX_REASONS = 20


class HttpFraud:
    """The service behind a URL."""

    remote = True
    name = "http"

    def __init__(self, tenant_id: str, url: str, secret: Callable[[], str | None]) -> None:
        self._url, self._secret = url, secret
        self._known_as = f"{tenant_id} {url}"

    def assess(self, facts: Facts, rules: Sequence[Rule]) -> Assessment:
        """See `Fraud.assess`; it has rules of its own."""
        if BREAKER.is_open(self._known_as):
            raise FraudProviderFailed("left alone after failures")
        try:
            answer = self._ask(facts)
        except FraudProviderFailed:
            BREAKER.failed(self._known_as)
            raise
        BREAKER.succeeded(self._known_as)
        if answer.status != 200:
            raise FraudProviderFailed(f"answered {answer.status}")
        return _read(answer.body)

    def _ask(self, facts: Facts) -> Answer:
        """What it answers; a server's error is none."""
        secret = self._secret()
        if not secret:
            raise FraudProviderFailed("there is no secret to sign with")
        body = json.dumps(facts.as_dict(), separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Webhook-Signature": signing.timestamped_signature(body, [secret], clock.now()),
        }
        try:
            answer = _client(settings.current().loopback_webhooks_allowed).post(self._url, body, headers)
        except TimedOut as error:
            raise FraudProviderFailed("timed out") from error
        except (ConnectionFailed, AddressRefused) as error:
            raise FraudProviderFailed("could not be reached") from error
        if answer.status >= 500:
            raise FraudProviderFailed(f"answered {answer.status}")
        return answer


@lru_cache(maxsize=2)
def _client(allow_loopback: bool) -> SafeClient:
    return SafeClient(
        allow_loopback=allow_loopback, connect_timeout=TIMEOUT_SECONDS, total_timeout=TIMEOUT_SECONDS
    )


def _read(body: bytes) -> Assessment:
    try:
        said: dict[str, Any] = strict_json.loads(body)
        action = Action(said["action"]) if said.get("action") is not None else None
        reasons = tuple(_reason(item) for item in (said.get("reasons") or [])[:MAX_REASONS])
        return Assessment(_points(said["score"]), reasons, action)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FraudProviderFailed("answered something else") from error


def _reason(item: dict[str, Any]) -> Reason:
    return Reason(str(item["code"])[:48], _points(item.get("weight", 0)), str(item.get("text", ""))[:200])


def _points(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_SCORE:
        raise ValueError("not a score")
    return value
