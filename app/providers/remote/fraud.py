"""A fraud service of the merchant's own, asked over HTTP.

We post the facts as JSON, signed with the merchant's `fraud` secret (OP-18); it answers
`{"score": 0..100, "action"?: "allow|challenge|deny", "reasons"?: [{"code", "weight"?, "text"?}]}` within
`TIMEOUT_SECONDS`. Anything else is no opinion. One that has failed several times in a row is left alone for a
while, so that its outage does not make every shopper wait (see `caller`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.domain.errors import ProviderUnavailable
from app.domain.rules.cards import without_card_number
from app.domain.rules.fraud import MAX_SCORE, Action, Assessment, Facts, Reason, Rule
from app.kit.ids import random_token
from app.providers.base import FraudProviderFailed
from app.providers.remote import caller
from app.providers.remote.caller import Call

#: A shopper waits meanwhile: one try.
TIMEOUT_SECONDS = 2.0
MAX_REASONS = 20


class HttpFraud:
    """The service behind a URL."""

    remote = True
    name = "http"

    def __init__(self, tenant_id: str, url: str, secret: Callable[[], str | None]) -> None:
        self._tenant_id, self._url, self._secret = tenant_id, url, secret

    def assess(self, facts: Facts, rules: Sequence[Rule]) -> Assessment:
        """See `Fraud.assess`; it has rules of its own."""
        secret = self._secret()
        if not secret:
            raise FraudProviderFailed("there is no secret to sign with")
        key = f"fraud_{random_token()}"
        asked = Call(self._tenant_id, "", "fraud", self._url, "", facts.as_dict(), key, retries=False)
        try:
            return _read(caller.call(asked, [secret], within=TIMEOUT_SECONDS))
        except ProviderUnavailable as failure:
            raise FraudProviderFailed(failure.problem) from failure


def _read(said: Mapping[str, Any]) -> Assessment:
    try:
        action = Action(said["action"]) if said.get("action") is not None else None
        reasons = tuple(_reason(item) for item in (said.get("reasons") or [])[:MAX_REASONS])
        return Assessment(_points(said["score"]), reasons, action)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FraudProviderFailed("answered something else") from error


def _reason(item: dict[str, Any]) -> Reason:
    code = without_card_number(str(item["code"]), "card")
    words = without_card_number(str(item.get("text", "")))
    return Reason(code[:48], _points(item.get("weight", 0)), words[:200])


def _points(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_SCORE:
        raise ValueError("not a score")
    return value
