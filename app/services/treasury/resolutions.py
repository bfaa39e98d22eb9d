"""What people decide about discrepancies (PY-051), with its posting and its place in the audit.

- `accept`: the gateway's figure is right; the difference is added to, or taken from, the merchant's income.
- `write_off`: the difference is lost; it goes to `write_offs`.
- `match`: a missing transaction and a line that nobody knew are the same thing, for the same amount.
- `investigate`: somebody looks into it; nothing is posted, and another decision may follow.

All but the last are final. A decision holds for later runs too. Deciding the same again changes nothing,
deciding otherwise is refused, and so is deciding by a report that is no longer true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.connectors.settling import LineType
from app.db import transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidRequest, InvalidState, NotFound, Unprocessable
from app.domain.lifecycles import settlements as lifecycle
from app.kit import clock
from app.models.events.journal import record
from app.models.payments.dispute import Dispute
from app.models.treasury.reconciliation import Reconciliation, ReconciliationItem, Resolution
from app.models.treasury.settlement import Settlement, SettlementLine
from app.services.ledger import postings
from app.services.treasury import comparison, matching, reconciliations

ACCEPT, WRITE_OFF, MATCH, INVESTIGATE = "accept", "write_off", "match", "investigate"

#: Decisions that move money in the ledger, and the kind of their posting.
_POSTED = {ACCEPT: "adjustment", WRITE_OFF: "write_off"}


@dataclass(frozen=True, slots=True)
class Decision:
    """One item of a call. `transaction_id` is what the report shows; a `match` names the line as well."""

    transaction_id: str
    action: str
    note: str = ""
    settlement_line_id: str | None = None


def resolve(actor: Actor, job_id: str, decisions: Sequence[Decision]) -> list[Resolution]:
    """Decide about discrepancies of a run, all of them or none.

    Raises:
        Conflict: one has been decided otherwise (`already_resolved`), or is no longer so (`changed_since`).
        InvalidRequest: one is named twice, or a `match` names no line.
        InvalidState: the run is not done yet.
        NotFound: no such run or transaction in it.
        Unprocessable: there is nothing to decide, or the two do not match.
    """
    named = [decision.transaction_id for decision in decisions]
    if len(set(named)) < len(named):
        raise InvalidRequest("A transaction is named twice", code="invalid_field", field="items")
    try:
        with transaction(actor) as db:
            run = reconciliations.find(db, actor, job_id, lock=True)
            if run.phase != comparison.DONE:
                raise InvalidState("The reconciliation is not done yet")
            made = [_decide(db, actor, run, decision) for decision in decisions]
            _close_settlements(db, run, {row.settlement_id for row in made if row.settlement_id})
            return made
    except IntegrityError as error:  # somebody decided it from another run at the same moment
        raise _decided(named[0]) from error


def _decide(db: Session, actor: Actor, run: Reconciliation, decision: Decision) -> Resolution:
    if decision.action == MATCH:
        return _match(db, actor, run, decision)
    item = _discrepancy(db, run, decision.transaction_id)
    known = _known(db, item, decision.action)
    if known is not None and (known.final or (known.action, known.note) == (decision.action, decision.note)):
        return known
    _check_still_holds(db, item)
    amount = _difference(db, item) if decision.action in _POSTED else 0
    made = _write(db, actor, run, item, decision, known, amount=amount)
    if decision.action in _POSTED:
        postings.post_resolution(db, made, _POSTED[decision.action], item)
    return made


def _match(db: Session, actor: Actor, run: Reconciliation, decision: Decision) -> Resolution:
    """Give the line its transaction; both halves are decided by it."""
    if decision.settlement_line_id is None:
        raise InvalidRequest("Say which line it is", code="missing_field", field="settlement_line_id")
    ours = _discrepancy(db, run, decision.transaction_id)
    theirs = _discrepancy(db, run, decision.settlement_line_id)
    before = _known(db, ours, MATCH), _known(db, theirs, MATCH)
    if before[0] is not None and before[0].final:
        if before[0].matched_to != theirs.subject_id:
            raise _decided(ours.subject_id)
        return before[0]
    if before[1] is not None and before[1].final:  # it is another transaction already
        raise _decided(theirs.subject_id)
    same = (ours.outcome, theirs.outcome) == (comparison.MISSING, comparison.UNMATCHED) and (
        (ours.type, ours.connector_id, ours.currency, ours.expected)
        == (theirs.type, theirs.connector_id, theirs.currency, theirs.actual)
    )
    if not same or theirs.transaction_id is not None:
        raise Unprocessable(
            "A missing transaction matches an unmatched line of its kind, connector, currency and amount",
            code="cannot_match",
            field="settlement_line_id",
        )
    line = db.get_one(SettlementLine, theirs.subject_id, with_for_update=True)
    for half in (ours, theirs):
        _check_still_holds(db, half)
    line.transaction_id = ours.subject_id
    db.flush()
    kind = matching.MOVING[ours.type]
    if kind.dated:
        matching.note_settled(db, kind, SettlementLine.id == line.id)
    _write(db, actor, run, theirs, decision, before[1], matched_to=ours.subject_id)
    made = _write(db, actor, run, ours, decision, before[0], matched_to=theirs.subject_id)
    _close_settlements(db, run, {line.settlement_id})
    return made


def _discrepancy(db: Session, run: Reconciliation, named: str) -> ReconciliationItem:
    """The item that a caller names by transaction or line; a transaction's matched lines are not meant."""
    item = ReconciliationItem
    by_id = db.get(item, (run.id, named))
    if by_id is not None:
        found = [by_id]
    else:
        found = list(db.scalars(select(item).where(item.job_id == run.id, item.transaction_id == named)))
    if not found:
        raise NotFound("No such transaction in this reconciliation", code="transaction_not_found")
    found = [row for row in found if row.outcome != comparison.MATCHED]
    if not found:
        raise Unprocessable(f"{named} is matched", code="nothing_to_resolve", field="items")
    if len(found) > 1:
        raise Unprocessable(
            f"{named} has several discrepancies; name the line",
            code="ambiguous_transaction",
            field="items",
            explain={"reason": "ambiguous_transaction", "lines": [row.subject_id for row in found]},
        )
    return found[0]


def _known(db: Session, item: ReconciliationItem, action: str) -> Resolution | None:
    """What was decided before; a final decision can only be repeated."""
    known = db.get(Resolution, item.subject_id, with_for_update=True)
    if known is not None and known.final and known.action != action:
        raise _decided(item.subject_id)
    return known


def _check_still_holds(db: Session, item: ReconciliationItem) -> None:
    if not comparison.still_holds(db, item):
        words = f"{item.subject_id} is no longer so: reconcile again, and decide by the new report"
        raise Conflict(words, code="changed_since")


def _difference(db: Session, item: ReconciliationItem) -> int:
    """What the gateway's account still shows for it: what we expected, less what came for it.

    The fee of a dispute stands there as well (postings.py).
    """
    ours, theirs = item.expected or 0, item.actual or 0
    if item.outcome in (comparison.UNMATCHED, comparison.DUPLICATE):
        ours = 0
    if item.type == LineType.DISPUTE:
        if item.line_id is None:
            ours -= _fee_to_come(db, item.subject_id)
        elif ours == 0:
            theirs = db.get_one(SettlementLine, item.line_id).net
    return ours - theirs


def _fee_to_come(db: Session, dispute_id: str) -> int:
    """What is booked of a dispute's fee and stands in no statement; negative where it is to be given back."""
    line = SettlementLine
    settled = select(func.coalesce(func.sum(line.fee), 0)).where(
        line.transaction_id == dispute_id, line.type == LineType.DISPUTE
    )
    return db.get_one(Dispute, dispute_id).fee - int(db.scalar(settled) or 0)


def _write(
    db: Session,
    actor: Actor,
    run: Reconciliation,
    item: ReconciliationItem,
    decision: Decision,
    known: Resolution | None,
    *,
    amount: int = 0,
    matched_to: str | None = None,
) -> Resolution:
    row = known or Resolution(
        subject_id=item.subject_id,
        tenant_id=run.tenant_id,
        mode=run.mode,
        settlement_id=item.settlement_id,
    )
    row.job_id, row.outcome = run.id, item.outcome
    row.action, row.note, row.final = decision.action, decision.note, decision.action != INVESTIGATE
    row.amount, row.matched_to = amount, matched_to
    row.decided_by, row.decided_at = actor.id, clock.now()
    db.add(row)
    db.flush()
    record(
        db,
        "reconciliation.resolved",
        tenant_id=run.tenant_id,
        mode=run.mode,
        entity="reconciliation",
        entity_id=run.id,
        cause="api",
        after={
            "id": run.id,
            "subject_id": row.subject_id,
            "transaction_id": item.transaction_id,
            "outcome": row.outcome,
            "action": row.action,
            "note": row.note,
            "amount": row.amount,
            "currency": item.currency,
            "matched_to": row.matched_to,
        },
    )
    return row


def _close_settlements(db: Session, run: Reconciliation, settlement_ids: set[str]) -> None:
    """Statements in which nothing is open any more are reconciled."""
    statement = (
        select(Settlement)
        .where(
            Settlement.id.in_(settlement_ids),
            Settlement.status == lifecycle.Status.POSTED,
            ~comparison.open_items(run.id, Settlement.id),
        )
        .order_by(Settlement.id)
        .with_for_update()
    )
    for row in db.scalars(statement).all():
        row.advance(lifecycle.Trigger.RECONCILED, cause="resolution", reconciled_at=clock.now())


def _decided(subject_id: str) -> Conflict:
    return Conflict(f"{subject_id} has been decided already", code="already_resolved")
