"""How a payment begins at the sandbox: what its card's behaviour makes of an authorise call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from app.connectors.base import AuthorizeRequest, ConnectorContext, GatewayStatus
from app.connectors.sandbox.answers import WEBHOOK_PATH
from app.connectors.sandbox.book import Row
from app.connectors.sandbox.cards import ALREADY_SET_UP, LOOK_UP_ERROR, UNLESS_SET_UP, Behaviour
from app.connectors.vaulting import DEBIT_TYPES
from app.kit import clock
from app.kit.ids import new_id, random_token

#: How long a shopper has for 3-D Secure or at the bank.
ACTION_MINUTES = 15
#: How long a bank transfer may take.
TRANSFER_DAYS = 7

_CHALLENGES = (Behaviour.CHALLENGE, Behaviour.CHALLENGE_THEN_DECLINE)


@dataclass(frozen=True, slots=True)
class Opening:
    """The first status, and the page that the shopper has to see (`acs`, `bank` or none)."""

    status: GatewayStatus
    decline_code: str | None = None
    three_ds_result: str | None = None
    page: str | None = None


def payment(
    context: ConnectorContext, request: AuthorizeRequest, token: Row, *, set_up: bool
) -> dict[str, Any]:
    """The row of a new payment; `set_up` says that this card was authenticated before."""
    first = _first(request, token, set_up)
    transfer = first.status == GatewayStatus.PENDING
    patience = timedelta(days=TRANSFER_DAYS) if transfer else timedelta(minutes=ACTION_MINUTES)
    return {
        "reference": new_id("sbx"),
        "tenant_id": context.tenant_id,
        "mode": context.mode,
        "account": context.account,
        "key": request.key,
        "token": request.token,
        "method_type": token["type"],
        "behaviour": token["behaviour"],
        "detail": token["detail"],
        "last4": token["last4"],
        "amount": request.amount,
        "currency": request.currency,
        "status": first.status,
        "captured": 0,
        "refunded": 0,
        "decline_code": first.decline_code,
        "three_ds_result": first.three_ds_result,
        "risk_score": token["risk_score"],
        "cvc_given": token["cvc_given"],
        "challenge_id": random_token(18) if first.page else None,
        "challenge_kind": first.page,
        "challenge_tries": 0,
        "action_expires_at": clock.now() + patience,
        "return_url": request.return_url,
        "webhook_url": context.base_url + WEBHOOK_PATH,
        "created_at": clock.now(),
    }


def _first(request: AuthorizeRequest, token: Row, set_up: bool) -> Opening:
    behaviour, detail = token["behaviour"], token["detail"]
    if token["type"] == "bank_transfer":
        return Opening(GatewayStatus.PENDING, page="bank")
    if token["type"] in DEBIT_TYPES:
        refused = behaviour == Behaviour.DECLINE
        return Opening(GatewayStatus.DECLINED, detail) if refused else Opening(GatewayStatus.AUTHORIZED)
    if token["type"] != "card":
        return Opening(GatewayStatus.ACTION_REQUIRED, page="bank")
    if behaviour == Behaviour.DECLINE:
        if detail == "incorrect_cvc" and not token["cvc_given"]:
            return Opening(GatewayStatus.AUTHORIZED)
        return Opening(GatewayStatus.DECLINED, detail)
    if behaviour == Behaviour.CHALLENGE_ERROR:
        return Opening(GatewayStatus.DECLINED, detail, "error")
    if behaviour in _CHALLENGES:
        return _challenged(request, detail, set_up)
    if request.force_three_ds and not request.off_session:
        if detail == LOOK_UP_ERROR:
            return Opening(GatewayStatus.DECLINED, "processing_error", "error")
        return Opening(GatewayStatus.ACTION_REQUIRED, page="acs")
    if behaviour == Behaviour.FRICTIONLESS:
        result = "error" if detail == LOOK_UP_ERROR else "frictionless"
        return Opening(GatewayStatus.AUTHORIZED, three_ds_result=result)
    return Opening(GatewayStatus.AUTHORIZED)


def _challenged(request: AuthorizeRequest, detail: str, set_up: bool) -> Opening:
    """A card that wants 3-D Secure: without the shopper there is nobody to ask."""
    known = set_up and detail == UNLESS_SET_UP
    if request.off_session:
        if known or detail == ALREADY_SET_UP:
            return Opening(GatewayStatus.AUTHORIZED)
        return Opening(GatewayStatus.DECLINED, "authentication_required")
    if known and not request.force_three_ds:
        return Opening(GatewayStatus.AUTHORIZED)
    return Opening(GatewayStatus.ACTION_REQUIRED, page="acs")
