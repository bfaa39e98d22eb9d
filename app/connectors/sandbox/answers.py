"""What the sandbox says about a row of its book: payments, next actions, acquirer facts, refunds."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from app.connectors import base
from app.connectors.sandbox.book import Row
from app.connectors.sandbox.cards import Behaviour
from app.connectors.vaulting import DEBIT_TYPES
from app.kit import clock

#: The name that transactions carry.
ACQUIRER = "Sandbox Bank"
#: Where bank transfers go: a published test account.
TRANSFER_IBAN = "AT611904300234573201"
THREE_DS_VERSION = "2.2.0"
#: How long an authorisation holds, in days.
AUTHORIZATION_DAYS = 7
#: After how many seconds a bank says what became of a debit.
DEBIT_SECONDS = 10
#: Where the sandbox's webhooks go, under our own address.
WEBHOOK_PATH = "/v1/payments/webhook/gateway"

#: A payment in one of these waits for its shopper.
WAITING = (base.GatewayStatus.ACTION_REQUIRED, base.GatewayStatus.PENDING)

#: Declines in the words of acquirers (ISO 8583, field 39); any other is 05, do not honour.
_RESPONSE_CODES = {
    "insufficient_funds": "51",
    "lost_card": "41",
    "stolen_card": "43",
    "expired_card": "54",
    "incorrect_cvc": "82",
    "fraudulent": "59",
    "card_velocity_exceeded": "65",
    "processing_error": "96",
}


def to_authorize(row: Row) -> base.AuthorizeResult:
    """The answer to an authorise call, the same for each call with its key."""
    state = payment(row)
    if state.status == base.GatewayStatus.ACTION_REQUIRED:
        assert state.action is not None
        return base.ActionRequired(state.reference, state.action)
    if state.status == base.GatewayStatus.PENDING:
        return base.Pending(state.reference, state.action)
    if state.status in (base.GatewayStatus.DECLINED, base.GatewayStatus.EXPIRED):
        return base.Declined(state.decline_code or "generic_decline", state.reference, state.facts)
    taken = state.status == base.GatewayStatus.CAPTURED
    return base.Approved(state.reference, state.amount, state.currency, state.facts, state.expires_at, taken)


def payment(row: Row) -> base.GatewayPayment:
    """The payment as it stands by the clock: what the shopper did not finish in time has expired."""
    if unanswered(row):
        pending = base.GatewayStatus.PENDING
        return base.GatewayPayment(row["reference"], pending, row["amount"], row["currency"])
    status, decline = base.GatewayStatus(row["status"]), row["decline_code"]
    action = None
    if abandoned(row):
        status, decline = base.GatewayStatus.EXPIRED, "authentication_abandoned"
    elif lapsed(row):
        status, decline = base.GatewayStatus.EXPIRED, "authorization_expired"
    elif status in WAITING:
        action = _action(row)
    wrong = 100 if row["behaviour"] == Behaviour.WRONG_AMOUNT else 0
    return base.GatewayPayment(
        reference=row["reference"],
        status=status,
        amount=row["amount"] + wrong,
        currency=row["currency"],
        captured=row["captured"],
        refunded=row["refunded"],
        decline_code=decline,
        action=action,
        facts=facts(row),
        expires_at=lapses_at(row),
    )


def debited_at(row: Row) -> datetime | None:
    """When the bank says what became of a debit; None for what is answered at once."""
    if row["method_type"] not in DEBIT_TYPES:
        return None
    created: datetime = row["created_at"]
    return created + timedelta(seconds=DEBIT_SECONDS)


def unanswered(row: Row) -> bool:
    """Whether the bank has not said yet what became of a debit; a voided one it will not do."""
    told_at = debited_at(row)
    if told_at is None or row["status"] == base.GatewayStatus.VOIDED:
        return False
    return bool(row["behaviour"] == Behaviour.STAYS_PENDING or clock.now() < told_at)


def abandoned(row: Row) -> bool:
    """Whether the shopper's time at the bank ran out."""
    return bool(row["status"] in WAITING and clock.now() > row["action_expires_at"])


def lapsed(row: Row) -> bool:
    """Whether an authorisation has ended by itself."""
    return bool(row["status"] == base.GatewayStatus.AUTHORIZED and clock.now() > lapses_at(row))


def lapses_at(row: Row) -> Any:
    """When an authorisation ends by itself."""
    return row["created_at"] + timedelta(days=AUTHORIZATION_DAYS)


def facts(row: Row) -> base.AcquirerFacts:
    """What the acquirer reports beside the outcome."""
    declined = row["status"] == base.GatewayStatus.DECLINED
    bad_cvc = row["detail"] == "cvc_fail" or row["decline_code"] == "incorrect_cvc"
    return base.AcquirerFacts(
        response_code=_RESPONSE_CODES.get(row["decline_code"], "05") if declined else "00",
        avs_result="fail" if row["detail"] == "zip_fail" else "pass",
        cvv_result=None if not row["cvc_given"] else ("fail" if bad_cvc else "pass"),
        three_ds_result=row["three_ds_result"],
        risk_score=row["risk_score"],
        acquirer=ACQUIRER,
    )


def refund(row: Mapping[str, Any]) -> base.Approved | base.Declined | base.Pending:
    """A refund as it stands."""
    if row["status"] == "pending":
        return base.Pending(row["id"])
    if row["status"] == "failed":
        return base.Declined(row["code"] or "refund_failed", row["id"])
    return base.Approved(row["id"], row["amount"], row["currency"])


def _action(row: Row) -> base.NextAction:
    origin = row["webhook_url"].removesuffix(WEBHOOK_PATH)
    url = f"{origin}/sandbox/{row['challenge_kind']}/{row['challenge_id']}"
    until = row["action_expires_at"]
    if row["challenge_kind"] == "acs":
        parameters = {"acs_url": url, "transaction_id": transaction_id(row), "version": THREE_DS_VERSION}
        kind = base.ActionType.THREE_DS_CHALLENGE
        return base.NextAction(kind, url=url, challenge=parameters, expires_at=until)
    if row["method_type"] == "promptpay":
        return base.NextAction(base.ActionType.QR_CODE, url=url, qr_payload=url, expires_at=until)
    if row["method_type"] == "bank_transfer":
        account = {"bank_name": ACQUIRER, "iban": TRANSFER_IBAN, "reference": transfer_reference(row)}
        return base.NextAction(base.ActionType.AWAITING_WEBHOOK, url=url, expires_at=until, details=account)
    return base.NextAction(base.ActionType.REDIRECT_TO_URL, url=url, expires_at=until)


def transaction_id(row: Row) -> str:
    """The 3DS server's transaction id of a challenge, as EMV 3-D Secure writes it (a UUID)."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, row["challenge_id"]))


def transfer_reference(row: Row) -> str:
    """What the shopper writes on a bank transfer, so that it is matched."""
    return f"TILL {row['reference'][-8:].upper()}"
