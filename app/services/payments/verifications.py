"""Proofs that a method is the customer's, and what the directory server says of a card (PY-007, PY-058).

The gateway decides and counts. A proof is written before it is asked for, under a key of its own, so that a
call that dies halfway is found again by the next one; what the gateway then says is the truth.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.connectors.base import Unknown
from app.connectors.vaulting import DEBIT_TYPES, Enrolment, Proof, ProofStatus, ThreeDSLookup
from app.db import transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidState, Unprocessable
from app.domain.lifecycles import methods as methods_lifecycle
from app.domain.lifecycles import verifications as lifecycle
from app.kit import clock
from app.kit.ids import new_id
from app.models.events.journal import record
from app.models.payments.method import PaymentMethod
from app.models.payments.verification import MethodVerification
from app.services.payments import methods, vault

_S, _T = lifecycle.Status, lifecycle.Trigger

MICRO_DEPOSIT, BANK_VERIFICATION, THREE_DS = "micro_deposit", "bank_verification", "3ds_enrollment"
#: Which methods a proof is for.
TYPES = {
    MICRO_DEPOSIT: DEBIT_TYPES,
    BANK_VERIFICATION: DEBIT_TYPES,
    THREE_DS: frozenset({"card"}),
}


def verify(
    actor: Actor, method_id: str, kind: str, amounts: tuple[int, int] | None = None
) -> MethodVerification:
    """Start a proof, or go on with the one that is pending; `amounts` confirm two small deposits.

    Raises:
        NotFound: no such method.
        Unprocessable: revoked, or the proof is not for this type of method.
        InvalidState: `verification_failed`: an account whose deposits were guessed wrong thrice has to be
            added again; `verification_not_started`: amounts for deposits that were never sent.
    """
    method = methods.usable(actor, method_id)
    if method.type not in TYPES[kind]:
        raise Unprocessable(
            f"A {kind} is not for a {method.type}", code="verification_not_supported", field="type"
        )
    if amounts is not None and kind != MICRO_DEPOSIT:
        raise Unprocessable("Amounts confirm micro-deposits only", code="invalid_amounts", field="amounts")
    proof = _open(actor, method, kind, confirming=amounts is not None)
    if proof.status != _S.PENDING:
        return proof
    return _record(actor, method.id, proof.id, _ask(method, proof, amounts))


def look_up_three_ds(actor: Actor, method_id: str) -> ThreeDSLookup:
    """Whether a card takes part in 3-D Secure (PY-058); changes nothing.

    Raises:
        NotFound: no such method.
        Unprocessable: it is revoked, or no card.
    """
    method = methods.usable(actor, method_id)
    if method.type != "card":
        raise Unprocessable("Only cards have 3-D Secure", code="verification_not_supported")
    return vault.look_up_three_ds(method)


def _open(actor: Actor, method: PaymentMethod, kind: str, *, confirming: bool) -> MethodVerification:
    """The proof to go on with: the pending one, a finished one that says it all, or a new one."""
    with transaction(actor) as db:
        if _lock(db, method.id).status != methods_lifecycle.Status.ACTIVE:
            raise methods.revoked()
        last = _last(db, method.id)
        if last is not None and last.type == kind and _stands(last):
            return last
        if kind != THREE_DS and last is not None:
            _refuse_second_way(last)
        if confirming:
            raise InvalidState("No deposits were sent yet", code="verification_not_started")
        proof = MethodVerification(
            id=new_id("ver"), tenant_id=method.tenant_id, mode=method.mode, method_id=method.id, type=kind
        )
        db.add(proof)
        proof.begin(cause=str(actor.kind))
        return proof


def _stands(last: MethodVerification) -> bool:
    """Whether there is nothing new to start: it is pending, or an account is verified."""
    return last.status == _S.PENDING or (last.status == _S.VERIFIED and last.type != THREE_DS)


def _refuse_second_way(last: MethodVerification) -> None:
    """Deposits that failed close the account's other proofs too; a pending one has to come to its end."""
    if last.status == _S.PENDING:
        raise Conflict(f"A {last.type} is under way", code="verification_in_progress")
    if last.status == _S.FAILED and last.type == MICRO_DEPOSIT:
        raise InvalidState("This account failed; add it again", code="verification_failed")


def _ask(
    method: PaymentMethod, proof: MethodVerification, amounts: tuple[int, int] | None
) -> Proof | Unknown:
    if proof.type == THREE_DS:
        found = vault.look_up_three_ds(method).enrolment
        good = found == Enrolment.ENROLLED
        return Proof(ProofStatus.VERIFIED) if good else Proof(ProofStatus.FAILED, str(found))
    if proof.type == BANK_VERIFICATION:
        return vault.verify_account(method)
    sent = vault.send_deposits(method, proof.id)
    if amounts is None or isinstance(sent, Unknown) or sent.status != ProofStatus.PENDING:
        return sent
    return vault.check_deposits(method, proof.id, amounts)


def _record(actor: Actor, method_id: str, proof_id: str, answer: Proof | Unknown) -> MethodVerification:
    """Write what the gateway said; an unknown answer changes nothing and is asked for again."""
    with transaction(actor) as db:
        method = _lock(db, method_id)
        proof = db.get_one(MethodVerification, proof_id)
        if isinstance(answer, Unknown) or proof.status != _S.PENDING:
            return proof
        told = {"reason": answer.reason, "tries_left": answer.tries_left}
        if answer.status == ProofStatus.VERIFIED:
            proof.advance(_T.CONFIRMED, cause="gateway", **told)
            method.verified_at = method.verified_at or clock.now()
        elif answer.status == ProofStatus.FAILED:
            proof.advance(_T.REFUSED, cause="gateway", **told)
        elif answer.tries_left != proof.tries_left:
            _note_tries(db, proof, answer)
        return proof


def _note_tries(db: Session, proof: MethodVerification, answer: Proof) -> None:
    """How many answers are left; of several that come at once the lowest count is true."""
    before = proof.facts()
    left = [count for count in (answer.tries_left, proof.tries_left) if count is not None]
    proof.reason, proof.tries_left = answer.reason, min(left, default=None)
    db.flush()
    record(
        db,
        "method_verification.updated",
        tenant_id=proof.tenant_id,
        mode=proof.mode,
        entity="method_verification",
        entity_id=proof.id,
        cause="gateway",
        before=before,
        after=proof.facts(),
    )


def _lock(db: Session, method_id: str) -> PaymentMethod:
    """The method under lock, before any proof of it is looked at."""
    return db.get_one(PaymentMethod, method_id, with_for_update=True)


def _last(db: Session, method_id: str) -> MethodVerification | None:
    statement = select(MethodVerification).where(MethodVerification.method_id == method_id)
    return db.scalars(statement.order_by(MethodVerification.id.desc()).limit(1)).one_or_none()
