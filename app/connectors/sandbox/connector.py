"""The sandbox acquirer: Till's own gateway, which needs no outside account (sandbox.md).

It behaves as a real one does: idempotency keys, its own book, time-outs that did or did not execute, and
signed webhooks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.connectors import base
from app.connectors.sandbox import book, notices, vault
from app.connectors.sandbox.cards import Behaviour
from app.db import reading, retrying, transaction
from app.kit import clock, signing
from app.kit.ids import new_id, random_token

#: How long a shopper has for 3-D Secure or at the bank.
ACTION_MINUTES = 15
#: How long an authorisation holds, in days.
AUTHORIZATION_DAYS = 7
#: After how many seconds a refund that turns, turns.
REFUND_TURN_SECONDS = 10

_CHALLENGES = (Behaviour.CHALLENGE, Behaviour.CHALLENGE_THEN_DECLINE)


class SandboxConnector:
    """Implements every capability of connectors/base.py that moves money."""

    name = "sandbox"
    label = "Till sandbox"
    method_types = frozenset({"card", *vault.REDIRECT_TYPES})

    def tokenize(self, context: base.ConnectorContext, card: base.CardDetails) -> base.MethodToken:
        """See `TokenizesCards`; only the published test numbers are taken."""
        return vault.keep_card(context, card)

    def tokenize_redirect(self, context: base.ConnectorContext, method_type: str) -> base.MethodToken:
        """See `TokenizesRedirects`."""
        return vault.keep_redirect(context, method_type)

    def authorize(
        self, context: base.ConnectorContext, request: base.AuthorizeRequest
    ) -> base.AuthorizeResult:
        """See `Authorizes`."""
        token = vault.find(context, request.token)
        if token is None:
            return base.Declined("processing_error")
        known = _payment_by_key(context, request.key)
        if known is None:
            if token["behaviour"] == Behaviour.TIME_OUT_BEFORE:
                return base.Unknown("timed out")
            known = self._open(context, request, token)
        return _authorize_answer(known)

    def find(self, context: base.ConnectorContext, key: str) -> base.LookupResult:
        """See `Authorizes.find`."""
        row = _payment_by_key(context, key)
        return base.NotFound() if row is None else _as_payment(row)

    def capture(self, context: base.ConnectorContext, request: base.CaptureRequest) -> base.OperationResult:
        """See `Captures`: once, and never more than was authorised; a part releases the rest."""
        return retrying(lambda: self._capture(context, request))

    def void(self, context: base.ConnectorContext, request: base.VoidRequest) -> base.OperationResult:
        """See `Voids`."""
        with transaction() as db:
            row = _lock(db, context, request.reference)
            if row is None:
                return base.Declined("processing_error")
            if row["captured"]:
                return base.Declined("already_captured", request.reference)
            if row["status"] != base.GatewayStatus.VOIDED:
                _set(db, row, status=base.GatewayStatus.VOIDED)
                notices.queue(db, dict(row), "payment.voided")
            return base.Approved(request.reference, row["amount"], row["currency"])

    def refund(self, context: base.ConnectorContext, request: base.RefundRequest) -> base.OperationResult:
        """See `Refunds`."""
        return retrying(lambda: self._refund(context, request))

    def find_refund(self, context: base.ConnectorContext, key: str) -> base.RefundLookupResult:
        """See `Refunds.find_refund`; refunds that turn later have turned by the clock."""
        with transaction() as db:
            row = _operation(db, context, key)
            if row is None:
                return base.NotFound()
            return _refund_answer(_turn(db, row))

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
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def _open(
        self, context: base.ConnectorContext, request: base.AuthorizeRequest, token: RowMapping
    ) -> RowMapping:
        """Write the payment, or find the one that another call with the same key wrote first."""
        values = _new_payment(context, request, token)
        try:
            with transaction() as db:
                db.execute(insert(book.payments), values)
                row = _lock(db, context, values["reference"])
                assert row is not None
                notices.queue(db, dict(row), f"payment.{row['status']}")
        except IntegrityError:
            pass
        found = _payment_by_key(context, request.key)
        assert found is not None
        return found

    def _capture(self, context: base.ConnectorContext, request: base.CaptureRequest) -> base.OperationResult:
        with transaction() as db:
            row = _lock(db, context, request.reference)
            if row is None:
                return base.Declined("processing_error")
            known = _operation(db, context, request.key)
            if known is not None:
                return base.Approved(row["reference"], known["amount"], row["currency"])
            if row["status"] != base.GatewayStatus.AUTHORIZED or not (0 < request.amount <= row["amount"]):
                return base.Declined("capture_refused", request.reference)
            _set(db, row, status=base.GatewayStatus.CAPTURED, captured=request.amount)
            _write_operation(db, context, "capture", request.key, row, request.amount)
            notices.queue(db, dict(row), "payment.captured")
            if row["behaviour"] == Behaviour.DISPUTE:
                notices.queue(db, dict(row), "dispute.created", reason=row["detail"])
            return base.Approved(request.reference, request.amount, row["currency"], _facts(row))

    def _refund(self, context: base.ConnectorContext, request: base.RefundRequest) -> base.OperationResult:
        with transaction() as db:
            row = _lock(db, context, request.reference)
            if row is None:
                return base.Declined("processing_error")
            known = _operation(db, context, request.key)
            if known is None:
                if request.amount > row["captured"] - row["refunded"]:
                    return base.Declined("refund_exceeds_captured", request.reference)
                _set(db, row, refunded=row["refunded"] + request.amount)
                known = _write_operation(db, context, "refund", request.key, row, request.amount)
                if known["status"] == "succeeded":
                    notices.queue(db, dict(row), "refund.succeeded", refund_key=request.key)
            answer = _refund_answer(_turn(db, known))
            assert not isinstance(answer, base.NotFound)
            return answer


def _new_payment(
    context: base.ConnectorContext, request: base.AuthorizeRequest, token: RowMapping
) -> dict[str, Any]:
    behaviour, detail = token["behaviour"], token["detail"]
    status, decline, three_ds, challenge_kind = _first_status(behaviour, detail, token, request)
    return {
        "reference": new_id("sbx"),
        "tenant_id": context.tenant_id,
        "mode": context.mode,
        "key": request.key,
        "token": request.token,
        "method_type": request.method_type,
        "behaviour": behaviour,
        "detail": detail,
        "last4": token["last4"],
        "amount": request.amount,
        "currency": request.currency,
        "status": status,
        "captured": 0,
        "refunded": 0,
        "decline_code": decline,
        "three_ds_result": three_ds,
        "risk_score": token["risk_score"],
        "cvc_given": token["cvc_given"],
        "challenge_id": random_token(18) if challenge_kind else None,
        "challenge_kind": challenge_kind,
        "challenge_tries": 0,
        "action_expires_at": clock.now() + timedelta(minutes=ACTION_MINUTES),
        "return_url": request.return_url,
        "webhook_url": f"{context.base_url}/v1/payments/webhook/gateway",
        "created_at": clock.now(),
    }


def _first_status(
    behaviour: str, detail: str, token: RowMapping, request: base.AuthorizeRequest
) -> tuple[str, str | None, str | None, str | None]:
    """Status, decline code, 3-D Secure result, and the page that the shopper has to see."""
    status = base.GatewayStatus
    if request.method_type != "card":
        return status.ACTION_REQUIRED, None, None, "bank"
    if behaviour == Behaviour.DECLINE:
        if detail == "incorrect_cvc" and not token["cvc_given"]:
            return status.AUTHORIZED, None, None, None
        return status.DECLINED, detail, None, None
    if behaviour == Behaviour.CHALLENGE_ERROR:
        return status.DECLINED, detail, "error", None
    if (behaviour in _CHALLENGES or request.force_three_ds) and not request.off_session:
        return status.ACTION_REQUIRED, None, None, "acs"
    if behaviour == Behaviour.FRICTIONLESS:
        return status.AUTHORIZED, None, "frictionless", None
    return status.AUTHORIZED, None, None, None


def _authorize_answer(row: RowMapping) -> base.AuthorizeResult:
    if row["behaviour"] in (Behaviour.TIME_OUT_AFTER, Behaviour.TRUNCATED):
        return base.Unknown("timed out" if row["behaviour"] == Behaviour.TIME_OUT_AFTER else "cut short")
    state = _as_payment(row)
    if state.status == base.GatewayStatus.ACTION_REQUIRED:
        assert state.action is not None
        return base.ActionRequired(state.reference, state.action)
    if state.status in (base.GatewayStatus.DECLINED, base.GatewayStatus.EXPIRED):
        return base.Declined(state.decline_code or "generic_decline", state.reference, state.facts)
    wrong = 100 if row["behaviour"] == Behaviour.WRONG_AMOUNT else 0
    return base.Approved(state.reference, state.amount + wrong, state.currency, state.facts, state.expires_at)


def _as_payment(row: RowMapping) -> base.GatewayPayment:
    status, decline = base.GatewayStatus(row["status"]), row["decline_code"]
    action = None
    if status == base.GatewayStatus.ACTION_REQUIRED:
        if clock.now() > row["action_expires_at"]:
            status, decline = base.GatewayStatus.EXPIRED, "authentication_abandoned"
        else:
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
        facts=_facts(row),
        expires_at=row["created_at"] + timedelta(days=AUTHORIZATION_DAYS),
    )


def _action(row: RowMapping) -> base.NextAction:
    origin = row["webhook_url"].removesuffix("/v1/payments/webhook/gateway")
    url = f"{origin}/sandbox/{row['challenge_kind']}/{row['challenge_id']}"
    if row["method_type"] == "promptpay":
        kind = base.ActionType.QR_CODE
    elif row["challenge_kind"] == "acs":
        kind = base.ActionType.THREE_DS_CHALLENGE
    else:
        kind = base.ActionType.REDIRECT_TO_URL
    payload = url if kind == base.ActionType.QR_CODE else None
    return base.NextAction(kind, url=url, qr_payload=payload, expires_at=row["action_expires_at"])


def _facts(row: RowMapping) -> base.AcquirerFacts:
    declined = row["status"] == base.GatewayStatus.DECLINED
    cvv = None if not row["cvc_given"] else ("fail" if row["detail"] == "cvc_fail" else "pass")
    return base.AcquirerFacts(
        response_code="05" if declined else "00",
        avs_result="fail" if row["detail"] == "zip_fail" else "pass",
        cvv_result=cvv,
        three_ds_result=row["three_ds_result"],
        risk_score=row["risk_score"],
    )


def _payment_by_key(context: base.ConnectorContext, key: str) -> RowMapping | None:
    statement = select(book.payments).where(
        book.payments.c.tenant_id == context.tenant_id, book.payments.c.key == key
    )
    with reading() as db:
        return db.execute(statement).mappings().one_or_none()


def _lock(db: Session, context: base.ConnectorContext, reference: str) -> RowMapping | None:
    statement = (
        select(book.payments)
        .where(book.payments.c.tenant_id == context.tenant_id, book.payments.c.reference == reference)
        .with_for_update()
    )
    return db.execute(statement).mappings().one_or_none()


def _set(db: Session, row: RowMapping, **changes: Any) -> None:
    db.execute(update(book.payments).where(book.payments.c.reference == row["reference"]).values(changes))


def _operation(db: Session, context: base.ConnectorContext, key: str) -> Mapping[str, Any] | None:
    statement = select(book.operations).where(
        book.operations.c.tenant_id == context.tenant_id, book.operations.c.key == key
    )
    row = db.execute(statement).mappings().one_or_none()
    return dict(row) if row is not None else None


def _write_operation(
    db: Session, context: base.ConnectorContext, kind: str, key: str, row: RowMapping, amount: int
) -> Mapping[str, Any]:
    turns = kind == "refund" and row["behaviour"] in (
        Behaviour.REFUND_LATER,
        Behaviour.REFUND_RETURNED,
    )
    later = kind == "refund" and row["behaviour"] == Behaviour.REFUND_LATER
    values = {
        "id": new_id("sbo"),
        "tenant_id": context.tenant_id,
        "key": key,
        "kind": kind,
        "reference": row["reference"],
        "amount": amount,
        "currency": row["currency"],
        "status": "pending" if later else "succeeded",
        "code": "returned_by_bank" if turns and not later else None,
        "turns_at": clock.now() + timedelta(seconds=REFUND_TURN_SECONDS) if turns else None,
        "created_at": clock.now(),
    }
    db.execute(insert(book.operations), values)
    return values


def _turn(db: Session, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Let a refund change as its card says, once its time has come."""
    if row["turns_at"] is None or clock.now() < row["turns_at"]:
        return row
    status = "succeeded" if row["status"] == "pending" else "failed"
    changes = {"status": status, "turns_at": None}
    db.execute(update(book.operations).where(book.operations.c.id == row["id"]).values(changes))
    if status == "failed":
        db.execute(
            update(book.payments)
            .where(book.payments.c.reference == row["reference"])
            .values(refunded=book.payments.c.refunded - row["amount"])
        )
    return {**row, **changes}


def _refund_answer(row: Mapping[str, Any]) -> base.RefundLookupResult:
    if row["status"] == "pending":
        return base.Pending(row["id"])
    if row["status"] == "failed":
        return base.Declined(row["code"] or "refund_failed", row["id"])
    return base.Approved(row["id"], row["amount"], row["currency"])
