"""The sandbox acquirer: Till's own gateway, which needs no outside account (sandbox.md).

It behaves as a real one does: idempotency keys, its own book, time-outs that did or did not execute, and
signed webhooks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.connectors import base, settling
from app.connectors.configuring import Ping
from app.connectors.sandbox import (
    answers,
    availability,
    book,
    disputes,
    notices,
    openings,
    operations,
    payouts,
    settlement,
    vault,
)
from app.connectors.sandbox.book import Row
from app.connectors.sandbox.cards import UNLESS_SET_UP, Behaviour
from app.connectors.sandbox.vaulting import SandboxVault
from app.connectors.subjects import EventSubject
from app.connectors.vaulting import DEBIT_TYPES
from app.db import Command, reading, retrying, transaction
from app.kit import clock, signing
from app.kit.ids import new_id

#: Cards whose first answer is lost although the payment was executed, and what the caller sees.
_LOST_ANSWERS = {Behaviour.TIME_OUT_AFTER: "timed out", Behaviour.TRUNCATED: "cut short"}

_INSERT = Command(lambda _: insert(book.payments))


class SandboxConnector(SandboxVault):
    """Implements every capability of connectors/base.py that moves money; its vault does the rest."""

    name = "sandbox"
    label = "Till sandbox"
    method_types = frozenset({"card", *vault.REDIRECT_TYPES, *DEBIT_TYPES})
    shares_vault = True
    credentials = availability.FIELDS

    def ping(self, context: base.ConnectorContext) -> Ping:
        """See `Tests`."""
        return availability.ping(context)

    def tokenize(self, context: base.ConnectorContext, card: base.CardDetails) -> base.MethodToken:
        """See `TokenizesCards`; only the published test numbers are taken."""
        return vault.keep_card(context, card)

    def tokenize_redirect(self, context: base.ConnectorContext, method_type: str) -> base.MethodToken:
        """See `TokenizesRedirects`."""
        return vault.keep_redirect(context, method_type)

    def authorize(
        self, context: base.ConnectorContext, request: base.AuthorizeRequest
    ) -> base.AuthorizeResult:
        """See `Authorizes`; where an answer is lost, the same key gets it at the next call."""
        return self._pay(context, request, sale=False)

    def sell(self, context: base.ConnectorContext, request: base.AuthorizeRequest) -> base.AuthorizeResult:
        """See `Sells`; what waits for its shopper or a bank first is captured by itself later."""
        return self._pay(context, request, sale=True)

    def _pay(
        self, context: base.ConnectorContext, request: base.AuthorizeRequest, *, sale: bool
    ) -> base.AuthorizeResult:
        if (refusal := availability.refusal(context)) is not None:
            return refusal
        token = vault.find(context, request.token)
        if token is None or token["type"] != request.method_type:
            return base.Declined("processing_error")
        if token["behaviour"] == Behaviour.TIME_OUT_BEFORE and _drop(context, request):
            return base.Unknown("timed out")
        row, fresh = _open(context, request, token, sale=sale)
        if fresh and row["behaviour"] in _LOST_ANSWERS:
            return base.Unknown(_LOST_ANSWERS[row["behaviour"]])
        return answers.to_authorize(row)

    def find(
        self, context: base.ConnectorContext, key: str, reference: str | None = None
    ) -> base.LookupResult:
        """See `Authorizes.find`."""
        if (lost := availability.unknown(context)) is not None:
            return lost
        row = _payment_by_key(context, key)
        return base.NotFound() if row is None else answers.payment(row)

    def capture(self, context: base.ConnectorContext, request: base.CaptureRequest) -> base.OperationResult:
        """See `Captures`: once, and never more than was authorised; a part releases the rest."""
        return availability.refusal(context) or retrying(lambda: self._capture(context, request))

    def void(self, context: base.ConnectorContext, request: base.VoidRequest) -> base.OperationResult:
        """See `Voids`; what is declined, abandoned or captured holds no money that could be released."""
        return availability.refusal(context) or retrying(lambda: self._void(context, request))

    def refund(self, context: base.ConnectorContext, request: base.RefundRequest) -> base.OperationResult:
        """See `Refunds`."""
        return availability.refusal(context) or retrying(lambda: self._refund(context, request))

    def find_refund(
        self, context: base.ConnectorContext, key: str, payment: str | None = None
    ) -> base.RefundLookupResult:
        """See `Refunds.find_refund`; refunds that turn later have turned by the clock."""
        if (lost := availability.unknown(context)) is not None:
            return lost
        with transaction() as db:
            row = operations.find(db, context, "refund", key)
            if row is None:
                return base.NotFound()
            _lock(db, context, row["reference"])  # in the order in which a refund takes its locks
            return answers.refund(operations.turn(db, row))

    def find_dispute(self, context: base.ConnectorContext, reference: str) -> base.DisputeLookupResult:
        """See `Disputes.find_dispute`; what is due has turned by the clock."""
        return availability.unknown(context) or retrying(lambda: disputes.find(context, reference))

    def submit_evidence(
        self, context: base.ConnectorContext, request: base.EvidenceRequest
    ) -> base.DisputeResult:
        """See `Disputes.submit_evidence`; what it says decides."""
        return availability.unknown(context) or retrying(lambda: disputes.submit(context, request))

    def accept_dispute(
        self, context: base.ConnectorContext, request: base.AcceptRequest
    ) -> base.DisputeResult:
        """See `Disputes.accept_dispute`."""
        return availability.unknown(context) or retrying(lambda: disputes.accept(context, request))

    def subject(self, raw: bytes) -> EventSubject:
        """See `NamesSubjects`."""
        try:
            key = json.loads(raw)["data"]["key"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return EventSubject()
        return EventSubject(key if isinstance(key, str) else None)

    def settlement_batches(
        self, context: base.ConnectorContext, since: datetime | None
    ) -> settling.SettlementBatches | base.Unknown:
        """See `Settles`; what is due is drawn up first (settlement.py)."""
        return settlement.batches(context, since)

    def settlement_lines(
        self, context: base.ConnectorContext, batch: str, cursor: str | None
    ) -> settling.SettlementPage | base.Unknown:
        """See `Settles.settlement_lines`."""
        return settlement.lines(context, batch, cursor)

    def pay_out(
        self, context: base.ConnectorContext, request: settling.PayoutRequest
    ) -> settling.PayoutResult:
        """See `PaysOut`; the destination decides what becomes of it (payouts.py)."""
        return payouts.send(context, request)

    def find_payout(self, context: base.ConnectorContext, key: str) -> settling.PayoutLookupResult:
        """See `PaysOut.find_payout`; payouts that turn later have turned by the clock."""
        return payouts.find(context, key)

    def parse_webhook(
        self, raw: bytes, headers: Mapping[str, str], secrets: list[str]
    ) -> base.InboundEvent | None:
        """See `ReceivesWebhooks`."""
        header = headers.get("X-Webhook-Signature", "")
        if not signing.verify_timestamped(header, raw, secrets, clock.now()):
            return None
        try:
            body = json.loads(raw)
            data = body["data"]
            return base.InboundEvent(
                event_id=str(body["id"]),
                type=str(body["type"]),
                attempt_key=data.get("key"),
                refund_key=data.get("refund_key"),
                payload=body,
                dispute_reference=data.get("dispute"),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def _capture(self, context: base.ConnectorContext, request: base.CaptureRequest) -> base.OperationResult:
        with transaction() as db:
            row = _lock(db, context, request.reference)
            if row is None:
                return base.Declined("processing_error")
            known = operations.find(db, context, "capture", request.key)
            if known is not None and known["reference"] == row["reference"]:
                return base.Approved(row["reference"], known["amount"], row["currency"], answers.facts(row))
            refusal = "capture_refused" if known is not None else _capture_refusal(row, request)
            if refusal is not None:
                return base.Declined(refusal, request.reference)
            _set(db, row, status=base.GatewayStatus.CAPTURED, captured=request.amount)
            operations.take(db, context, request.key, {**row, "captured": request.amount})
            return base.Approved(request.reference, request.amount, row["currency"], answers.facts(row))

    def _void(self, context: base.ConnectorContext, request: base.VoidRequest) -> base.OperationResult:
        status = base.GatewayStatus
        with transaction() as db:
            row = _lock(db, context, request.reference)
            if row is None:
                return base.Declined("processing_error")
            if row["captured"]:
                return base.Declined("already_captured", request.reference)
            if row["status"] == status.DECLINED or answers.abandoned(row):
                return base.Declined("nothing_to_void", request.reference)
            if row["status"] != status.VOIDED:
                _set(db, row, status=status.VOIDED)
                notices.queue(db, dict(row), "payment.voided")
            return base.Approved(request.reference, row["amount"], row["currency"])

    def _refund(self, context: base.ConnectorContext, request: base.RefundRequest) -> base.OperationResult:
        with transaction() as db:
            row = _lock(db, context, request.reference)
            if row is None:
                return base.Declined("processing_error")
            known = operations.find(db, context, "refund", request.key)
            if known is not None:
                same = known["reference"] == row["reference"]
                return answers.refund(operations.turn(db, known)) if same else base.Declined("refund_refused")
            left = row["captured"] - row["refunded"]
            if 0 < request.amount <= left < request.amount + disputes.held(db, request.reference):
                return base.Declined("charge_disputed", request.reference)
            if not 0 < request.amount <= left:
                return base.Declined("refund_exceeds_captured", request.reference)
            if request.currency != row["currency"]:
                return base.Declined("currency_mismatch", request.reference)
            _set(db, row, refunded=row["refunded"] + request.amount)
            made = operations.write(db, context, "refund", request.key, row, request.amount)
            _announce_refund(db, row, made)
            return answers.refund(made)


def _open(
    context: base.ConnectorContext, request: base.AuthorizeRequest, token: Row, *, sale: bool
) -> tuple[Row, bool]:
    """Write the payment, or find the one that another call with the same key wrote first.

    The second value says whether this call wrote it.
    """
    set_up = token["detail"] == UNLESS_SET_UP and _was_authenticated(context, request.token)
    values = openings.payment(context, request, token, set_up=set_up)
    if sale and values["status"] == base.GatewayStatus.AUTHORIZED and not answers.debited_at(values):
        values |= {"status": base.GatewayStatus.CAPTURED, "captured": request.amount}
    try:
        # What was answered is written down after this; if both are lost with the machine, it is asked again.
        with transaction(relaxed=True) as db:
            _INSERT.later(db, values)
            if values["captured"]:
                operations.take(db, context, request.key, values)
            elif values["behaviour"] != Behaviour.STAYS_PENDING:
                told_at = answers.debited_at(values)
                notices.queue(db, values, f"payment.{values['status']}", due_at=told_at)
    except IntegrityError:
        known = _payment_by_key(context, request.key)
        assert known is not None
        return known, False
    return values, True


def _drop(context: base.ConnectorContext, request: base.AuthorizeRequest) -> bool:
    """Lose a call before it is executed; False when this key was lost before: a retry gets through."""
    values = {
        "id": new_id("sbo"),
        "tenant_id": context.tenant_id,
        "key": request.key,
        "kind": "dropped",
        "reference": "",
        "amount": request.amount,
        "currency": request.currency,
        "status": "lost",
        "code": None,
        "turns_at": None,
        "created_at": clock.now(),
    }
    try:
        with transaction() as db:
            db.execute(insert(book.operations), values)
    except IntegrityError:
        return False
    return True


def _was_authenticated(context: base.ConnectorContext, token: str) -> bool:
    """Whether the shopper has confirmed a payment with this card by 3-D Secure."""
    statement = select(book.payments.c.reference).where(
        book.payments.c.tenant_id == context.tenant_id,
        book.payments.c.token == token,
        book.payments.c.three_ds_result == "authenticated",
    )
    with reading() as db:
        return db.execute(statement.limit(1)).first() is not None


def _capture_refusal(row: Row, request: base.CaptureRequest) -> str | None:
    """Why this capture cannot be: once, and never more than was authorised while that holds."""
    if answers.unanswered(row):
        return "capture_refused"
    if row["status"] != base.GatewayStatus.AUTHORIZED or not 0 < request.amount <= row["amount"]:
        return "capture_refused"
    if request.currency != row["currency"]:
        return "currency_mismatch"
    return "authorization_expired" if clock.now() > answers.lapses_at(row) else None


def _announce_refund(db: Session, payment: Row, refund: Mapping[str, Any]) -> None:
    """Tell of a refund now, and of its turn when that comes."""
    key, turns_at = refund["key"], refund["turns_at"]
    if refund["status"] == "succeeded":
        notices.queue(db, dict(payment), "refund.succeeded", refund_key=key)
    if turns_at is not None:
        later = "refund.succeeded" if refund["status"] == "pending" else "refund.failed"
        notices.queue(db, dict(payment), later, refund_key=key, due_at=turns_at)


def _payment_by_key(context: base.ConnectorContext, key: str) -> Row | None:
    statement = select(book.payments).where(
        book.payments.c.tenant_id == context.tenant_id,
        book.payments.c.mode == context.mode,
        book.payments.c.key == key,
    )
    with reading() as db:
        return db.execute(statement).mappings().one_or_none()


def _lock(db: Session, context: base.ConnectorContext, reference: str) -> Row | None:
    statement = (
        select(book.payments)
        .where(
            book.payments.c.tenant_id == context.tenant_id,
            book.payments.c.mode == context.mode,
            book.payments.c.reference == reference,
        )
        .with_for_update()
    )
    return db.execute(statement).mappings().one_or_none()


def _set(db: Session, row: Row, **changes: Any) -> None:
    db.execute(update(book.payments).where(book.payments.c.reference == row["reference"]).values(changes))
