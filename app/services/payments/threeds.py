"""3-D Secure: what the client says of a challenge is a hint, the gateway has the truth (PY-013, PY-059).

Contract: payments.md 3.9 and CK-025; the messages are those of EMV 3-D Secure 2.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.connectors.base import ActionType
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, InvalidState, Unprocessable
from app.kit import strict_json
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.payments import attempts, driver, intents
from app.services.payments.attempts import Flow


class Result(StrEnum):
    """What the client saw of the challenge."""

    AUTHENTICATED = "authenticated"
    FAILED = "failed"
    ABANDONED = "abandoned"


#: Under which a challenge is given up that the bank has not decided.
CODES = {Result.FAILED: "authentication_failed", Result.ABANDONED: "authentication_abandoned"}


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of a challenge as a client tells it; `cres` is the bank's challenge response."""

    result: Result = Result.AUTHENTICATED
    transaction_id: str | None = None
    cres: str | None = None


def complete(actor: Actor, intent_id: str, told: Completion, flow: Flow) -> PaymentIntent:
    """Take the payment on after a challenge, or give it up.

    A challenge that the bank has decided is as the bank decided it, whatever the client says. One that it
    has not stays as it is for `authenticated`, and is withdrawn at the gateway otherwise.

    Raises:
        InvalidState: the payment has no challenge.
        Conflict: this challenge was completed before.
        InvalidRequest: `cres` is no challenge response.
        Unprocessable: `three_ds_transaction_mismatch`, it is another challenge's.
    """
    attempt = challenged(actor, intent_id)
    if attempt is None:
        raise InvalidState("This payment has no 3-D Secure challenge", code="three_ds_not_pending")
    check_transaction(attempt, told)
    if told.result in CODES:
        driver.give_up(attempt.id, flow, "three_ds", CODES[told.result])
    else:
        driver.drive(attempt.id, flow, "three_ds")
    attempts.use_up(attempt.id)
    return intents.get(actor, intent_id)


def challenged(actor: Actor, intent_id: str) -> Attempt | None:
    """The newest attempt of an intent, where its shopper was sent to 3-D Secure."""
    newest = attempts.newest(actor, intents.get(actor, intent_id).id)
    action = (newest.action or {}) if newest else {}
    return newest if action.get("type") == ActionType.THREE_DS_CHALLENGE else None


def check_transaction(attempt: Attempt, told: Completion) -> None:
    """Raises Unprocessable where what a client tells is of another challenge."""
    ours = ((attempt.action or {}).get("challenge") or {}).get("transaction_id")
    theirs = {told.transaction_id} if told.transaction_id else set()
    if told.cres:
        theirs.add(str(_read(told.cres).get("threeDSServerTransID")))
    if ours is not None and theirs - {ours}:
        raise Unprocessable(
            "This is the result of another 3-D Secure challenge",
            code="three_ds_transaction_mismatch",
            field="transaction_id" if told.transaction_id not in (None, ours) else "cres",
        )


def _read(cres: str) -> dict[str, Any]:
    try:
        found = strict_json.loads(
            base64.urlsafe_b64decode(cres.rstrip("=") + "=" * (-len(cres.rstrip("=")) % 4))
        )
    except (ValueError, binascii.Error) as error:
        raise InvalidRequest("cres is not a challenge response", field="cres") from error
    if not isinstance(found, dict) or found.get("messageType") != "CRes":
        raise InvalidRequest("cres is not a challenge response", field="cres")
    return found
