"""What the shopper does at the simulated bank: the 3-D Secure page and the page of redirect methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import RowMapping

from app.connectors.base import GatewayStatus
from app.connectors.sandbox import answers, book, notices
from app.connectors.sandbox.cards import Behaviour
from app.db import reading, transaction

#: The code that the simulated bank takes.
GOOD_CODE = "123456"
MAX_TRIES = 3


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the bank's page shows."""

    id: str
    tenant_id: str
    kind: str
    method_type: str
    amount: int
    currency: str
    last4: str | None
    open: bool
    tries_left: int
    return_url: str
    reference: str | None


def get(challenge_id: str) -> Challenge | None:
    """The challenge, or None when there is no such one."""
    with reading() as db:
        row = db.execute(_select(challenge_id)).mappings().one_or_none()
    return _view(row) if row is not None else None


def answer(challenge_id: str, code: str) -> Challenge | None:
    """Type a code: the good one authorises, the third wrong one fails."""
    if code.strip() == GOOD_CODE:
        return decide(challenge_id, approve=True)
    with transaction() as db:
        row = db.execute(_select(challenge_id).with_for_update()).mappings().one_or_none()
        if row is None or not _open(row):
            return _view(row) if row is not None else None
        tries = row["challenge_tries"] + 1
        changes: dict[str, Any] = {"challenge_tries": tries}
        if tries >= MAX_TRIES:
            changes |= _refusal(row, "authentication_failed")
        _apply(db, row, changes)
    return get(challenge_id)


def decide(challenge_id: str, *, approve: bool) -> Challenge | None:
    """Authorise or fail. A challenge is decided once; later decisions change nothing."""
    with transaction() as db:
        row = db.execute(_select(challenge_id).with_for_update()).mappings().one_or_none()
        if row is not None and _open(row):
            _apply(db, row, _approval(row) if approve else _refusal(row, "authentication_failed"))
    return get(challenge_id)


def cancel(challenge_id: str) -> Challenge | None:
    """The shopper gives up at the bank, which says so at once (walking away says nothing)."""
    with transaction() as db:
        row = db.execute(_select(challenge_id).with_for_update()).mappings().one_or_none()
        if row is not None and _open(row):
            _apply(db, row, _refusal(row, "authentication_abandoned"))
    return get(challenge_id)


def _refusal(row: RowMapping, code: str) -> dict[str, Any]:
    three_ds = "failed" if row["challenge_kind"] == "acs" else None
    return {"status": GatewayStatus.DECLINED, "decline_code": code, "three_ds_result": three_ds}


def _approval(row: RowMapping) -> dict[str, Any]:
    if row["challenge_kind"] == "bank":
        return {"status": GatewayStatus.AUTHORIZED}
    if row["behaviour"] == Behaviour.CHALLENGE_THEN_DECLINE:
        return {
            "status": GatewayStatus.DECLINED,
            "decline_code": row["detail"],
            "three_ds_result": "authenticated",
        }
    return {"status": GatewayStatus.AUTHORIZED, "three_ds_result": "authenticated"}


def _apply(db: Any, row: RowMapping, changes: dict[str, Any]) -> None:
    payment = book.payments
    db.execute(update(payment).where(payment.c.reference == row["reference"]).values(changes))
    if "status" in changes:
        notices.queue(db, {**row, **changes}, f"payment.{changes['status']}")


def _select(challenge_id: str) -> Any:
    return select(book.payments).where(book.payments.c.challenge_id == challenge_id)


def _open(row: RowMapping) -> bool:
    return row["status"] in answers.WAITING and not answers.abandoned(row)


def _view(row: RowMapping) -> Challenge:
    return Challenge(
        id=row["challenge_id"],
        tenant_id=row["tenant_id"],
        kind=row["challenge_kind"],
        method_type=row["method_type"],
        amount=row["amount"],
        currency=row["currency"],
        last4=row["last4"],
        open=_open(row),
        tries_left=MAX_TRIES - row["challenge_tries"],
        return_url=row["return_url"],
        reference=answers.transfer_reference(row) if row["method_type"] == "bank_transfer" else None,
    )
