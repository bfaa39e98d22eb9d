"""Disputes at the sandbox: raised after a capture by its card, decided by the evidence that is sent.

The words `winning_evidence`, `losing_evidence` and `escalate_inquiry_evidence` decide (sandbox.md), in the
text or in a document of plain text; anything else is lost after `REVIEW_DAYS`. What is due turns when it is
looked at, by the clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from app.connectors import base
from app.connectors.base import DisputeKind, GatewayDisputeStatus
from app.connectors.sandbox import book, notices
from app.db import transaction
from app.domain import money
from app.kit import clock
from app.kit.ids import new_id

#: How long the merchant has for evidence, in days.
RESPONSE_DAYS = 10
#: After how many seconds evidence with one of the words is decided.
DECISION_SECONDS = 10
#: After how many days any other evidence is decided against the merchant.
REVIEW_DAYS = 60
#: What a chargeback costs, in major units of its currency; given back when it is won.
FEE_MAJOR = 15

#: The card's detail → kind and reason, in our words.
_OF_CARD = {
    "fraudulent": (DisputeKind.CHARGEBACK, "fraud"),
    "inquiry": (DisputeKind.INQUIRY, "general"),
    "early_fraud_warning": (DisputeKind.EARLY_FRAUD_WARNING, "fraud"),
}
_S = GatewayDisputeStatus
#: In these the gateway holds the money, or has given it to the cardholder for good.
_HOLDS = frozenset({_S.NEEDS_RESPONSE, _S.UNDER_REVIEW, _S.LOST})


def open_for(db: Session, payment: Mapping[str, Any]) -> None:
    """Raise the dispute that the card of a captured payment stands for, and tell of it."""
    kind, reason = _OF_CARD.get(payment["detail"], (DisputeKind.CHARGEBACK, payment["detail"]))
    warned = kind == DisputeKind.EARLY_FRAUD_WARNING
    chargeback = kind == DisputeKind.CHARGEBACK
    row = {
        "reference": new_id("sbd"),
        "tenant_id": payment["tenant_id"],
        "mode": payment["mode"],
        "payment_reference": payment["reference"],
        "kind": str(kind),
        "status": str(_S.NEEDS_RESPONSE if chargeback else _S.WARNING),
        "reason": reason,
        "amount": payment["captured"],
        "currency": payment["currency"],
        "fee": fee_of(payment["currency"]) if chargeback else 0,
        "evidence_due_at": None if warned else clock.now() + timedelta(days=RESPONSE_DAYS),
        "answered": False,
        "decision": None,
        "decides_at": None,
        "received_at": clock.now(),
        "taken_at": clock.now() if chargeback else None,
    }
    db.execute(insert(book.disputes), row)
    type_ = "fraud_warning.created" if warned else "dispute.created"
    notices.queue(db, payment, type_, dispute=row["reference"], reason=payment["detail"])
    if row["evidence_due_at"] is not None:
        _tell(db, payment, row, row["evidence_due_at"])


def find(context: base.ConnectorContext, reference: str) -> base.DisputeLookupResult:
    """See `Disputes.find_dispute`."""
    with transaction() as db:
        found = _lock(db, context, reference)
        return base.NotFound() if found is None else _view(found[1])


def submit(context: base.ConnectorContext, request: base.EvidenceRequest) -> base.DisputeResult:
    """See `Disputes.submit_evidence`."""
    with transaction() as db:
        found = _lock(db, context, request.reference)
        if found is None:
            return base.NotFound()
        payment, row = found
        if _done_before(db, context, "evidence", request.key):
            return _view(row)
        asked = row["status"] == _S.NEEDS_RESPONSE or (
            row["status"] == _S.WARNING and row["kind"] == DisputeKind.INQUIRY
        )
        if row["answered"] or not asked:
            return base.Declined("evidence_not_accepted", request.reference)
        decision = _decision(request)
        wait = timedelta(seconds=DECISION_SECONDS) if decision else timedelta(days=REVIEW_DAYS)
        inquiry = row["kind"] == DisputeKind.INQUIRY
        changes = {
            "answered": True,
            "status": str(_S.WARNING if inquiry else _S.UNDER_REVIEW),
            "decision": decision or "losing_evidence",
            "decides_at": clock.now() + wait,
        }
        _write(db, context, "evidence", request.key, row)
        _set(db, row, changes)
        _tell(db, payment, row, changes["decides_at"])
        return _view({**row, **changes})


def accept(context: base.ConnectorContext, request: base.AcceptRequest) -> base.DisputeResult:
    """See `Disputes.accept_dispute`."""
    with transaction() as db:
        found = _lock(db, context, request.reference)
        if found is None:
            return base.NotFound()
        payment, row = found
        if row["status"] in (_S.LOST, _S.CLOSED):
            return _view(row)
        if row["status"] not in (_S.NEEDS_RESPONSE, _S.WARNING):
            return base.Declined("dispute_not_open", request.reference)
        given_in = _S.LOST if row["status"] == _S.NEEDS_RESPONSE else _S.CLOSED
        changes = {"status": str(given_in), "decision": None, "decides_at": None}
        _write(db, context, "accept", request.key, row)
        _set(db, row, changes)
        _tell(db, payment, row, clock.now())
        return _view({**row, **changes})


def held(db: Session, payment_reference: str) -> int:
    """Minor units of a payment that disputes hold or have taken; the payment's row is locked."""
    rows = db.execute(select(book.disputes).where(book.disputes.c.payment_reference == payment_reference))
    turned = [_turn(db, dict(row)) for row in rows.mappings()]
    return sum(row["amount"] for row in turned if row["status"] in _HOLDS)


def fee_of(currency: str) -> int:
    """What a chargeback costs, in minor units of its currency."""
    return money.from_major(Decimal(FEE_MAJOR), currency)


def _decision(request: base.EvidenceRequest) -> str | None:
    texts = [request.text]
    texts += [
        document.content.decode(errors="replace")
        for document in request.documents
        if document.content is not None and document.content_type == "text/plain"
    ]
    words = ("winning_evidence", "losing_evidence", "escalate_inquiry_evidence")
    return next((word for word in words if any(word in text for text in texts)), None)


def _turn(db: Session, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Let a dispute go on as its time has come; the payment's row is locked."""
    changes: dict[str, Any] = {}
    now = clock.now()
    if row["decides_at"] is not None and now >= row["decides_at"]:
        changes = _decided(row)
    elif not row["answered"] and row["evidence_due_at"] is not None and now >= row["evidence_due_at"]:
        if row["status"] == _S.NEEDS_RESPONSE:
            changes = {"status": str(_S.LOST)}
        elif row["status"] == _S.WARNING:
            changes = _escalation(row)
    if changes:
        _set(db, row, changes)
    return {**row, **changes}


def _decided(row: Mapping[str, Any]) -> dict[str, Any]:
    settled = {"decision": None, "decides_at": None}
    won = row["decision"] == "winning_evidence"
    if row["kind"] == DisputeKind.INQUIRY:
        return {"status": str(_S.CLOSED), **settled} if won else _escalation(row)
    if won:
        return {"status": str(_S.WON), "fee": 0, "returned_at": clock.now(), **settled}
    return {"status": str(_S.LOST), **settled}


def _escalation(row: Mapping[str, Any]) -> dict[str, Any]:
    """An inquiry that was not answered well becomes a chargeback, with time for evidence of its own."""
    return {
        "kind": str(DisputeKind.CHARGEBACK),
        "status": str(_S.NEEDS_RESPONSE),
        "fee": fee_of(row["currency"]),
        "taken_at": clock.now(),
        "evidence_due_at": clock.now() + timedelta(days=RESPONSE_DAYS),
        "answered": False,
        "decision": None,
        "decides_at": None,
    }


def _lock(
    db: Session, context: base.ConnectorContext, reference: str
) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """The payment, locked first as a refund does, and its dispute as it stands by the clock."""
    disputes, payments = book.disputes.c, book.payments.c
    mine = (
        disputes.reference == reference,
        disputes.tenant_id == context.tenant_id,
        disputes.mode == context.mode,
    )
    payment = (
        db.execute(
            select(book.payments)
            .where(payments.reference.in_(select(disputes.payment_reference).where(*mine)))
            .with_for_update()
        )
        .mappings()
        .one_or_none()
    )
    if payment is None:
        return None
    row = db.execute(select(book.disputes).where(*mine)).mappings().one()
    return dict(payment), _turn(db, dict(row))


def _done_before(db: Session, context: base.ConnectorContext, kind: str, key: str) -> bool:
    operations = book.operations.c
    statement = select(operations.id).where(
        operations.tenant_id == context.tenant_id, operations.key == key, operations.kind == kind
    )
    return db.scalar(statement) is not None


def _write(db: Session, context: base.ConnectorContext, kind: str, key: str, row: Mapping[str, Any]) -> None:
    values = {
        "id": new_id("sbo"),
        "tenant_id": context.tenant_id,
        "key": key,
        "kind": kind,
        "reference": row["reference"],
        "amount": row["amount"],
        "currency": row["currency"],
        "status": "succeeded",
        "created_at": clock.now(),
    }
    db.execute(insert(book.operations), values)


def _set(db: Session, row: Mapping[str, Any], changes: dict[str, Any]) -> None:
    mine = book.disputes.c.reference == row["reference"]
    db.execute(update(book.disputes).where(mine).values(changes))


def _tell(db: Session, payment: Mapping[str, Any], row: Mapping[str, Any], at: Any) -> None:
    notices.queue(db, payment, "dispute.updated", dispute=row["reference"], due_at=at)


def _view(row: Mapping[str, Any]) -> base.GatewayDispute:
    return base.GatewayDispute(
        reference=row["reference"],
        payment_reference=row["payment_reference"],
        kind=DisputeKind(row["kind"]),
        status=GatewayDisputeStatus(row["status"]),
        amount=row["amount"],
        currency=row["currency"],
        reason_code=row["reason"],
        received_at=row["received_at"],
        evidence_due_at=row["evidence_due_at"],
        fee=row["fee"],
    )
