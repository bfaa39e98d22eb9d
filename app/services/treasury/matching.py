"""Which transaction of ours a line of a statement belongs to: by the gateway's own reference, set-based.

A chunk of lines costs a few statements, however many lines it has. What belongs to what is a table here,
which reconciliation reads as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, literal, or_, select, update
from sqlalchemy.orm import Session

from app.connectors.settling import LineType
from app.domain.lifecycles import attempts, payouts, refunds
from app.models.payments.attempt import Attempt, connector_of_attempt
from app.models.payments.dispute import Dispute
from app.models.payments.refund import Refund
from app.models.treasury.payout import Payout
from app.models.treasury.reconciliation import Resolution
from app.models.treasury.settlement import SettlementLine

#: Rows that one step handles.
CHUNK = 2000
#: Decisions after which the gateway's account no longer waits for a transaction, or a line.
SQUARED = ("accept", "write_off")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of transaction, and what a line about it should show: `amount`, negative for what goes out.

    What goes out may come back, and has then a second line, the other way round; `returned` says when.
    Until it has, such a line should show nothing.

    `moved_at` and `moved` say when money moved, for kinds whose lines must come by themselves; with `back`
    it is the way back that is meant, and `amount` is positive.
    """

    type: LineType
    model: Any
    amount: Any
    connector: Any
    connector_id: Any
    moved_at: Any = None
    moved: Any = None
    returned: Any = None
    #: Whether the row itself says by which statement it came, and when.
    dated: bool = True
    back: bool = False

    @property
    def expected(self) -> Any:
        """What a line should show, by its own direction."""
        if self.returned is None:
            return self.amount
        return case((SettlementLine.gross <= 0, self.amount), (self.returned, -self.amount), else_=literal(0))

    @property
    def absent(self) -> ColumnElement[bool]:
        """Whether the line of a row that moved is in no statement.

        What went out and came back, both unseen, leaves nothing open. A way back that a person has decided
        about before we knew of it is no longer there for it.
        """
        line = SettlementLine
        theirs = (line.transaction_id == self.model.id, line.type == self.type)
        if self.returned is None and not self.back:
            return ~exists().where(*theirs)
        out = exists().where(*theirs, line.gross < 0)
        back = exists().where(*theirs, line.gross > 0, ~squared(line.id))
        return and_(out, ~back) if self.back else and_(~out, or_(~self.returned, back))

    def joined(self, statement: Select[Any]) -> Select[Any]:
        """The statement with whatever else tells the connector of a row."""
        through = self.model in (Refund, Dispute)
        return statement.join(Attempt, Attempt.id == self.model.attempt_id) if through else statement


KINDS = (
    Kind(
        LineType.CHARGE,
        Attempt,
        Attempt.amount_captured,
        Attempt.connector,
        connector_of_attempt,
        Attempt.captured_at,
        Attempt.status == attempts.Status.CAPTURED,
    ),
    Kind(
        LineType.REFUND,
        Refund,
        -Refund.amount,
        Attempt.connector,
        connector_of_attempt,
        Refund.succeeded_at,
        and_(
            Refund.status.in_((refunds.Status.SUCCEEDED, refunds.Status.FAILED)),
            Refund.refund_method != "store_credit",
        ),
        Refund.status == refunds.Status.FAILED,
    ),
    Kind(
        LineType.DISPUTE,
        Dispute,
        -Dispute.amount,
        Dispute.connector,
        connector_of_attempt,
        Dispute.opened_at,
        Dispute.gateway_reference.is_not(None),
        func.coalesce(Dispute.outcome == "won", False),
        dated=False,
    ),
    Kind(
        LineType.PAYOUT,
        Payout,
        -Payout.amount,
        Payout.connector,
        Payout.connector_id,
        returned=Payout.status == payouts.Status.FAILED,
        dated=False,
    ),
)
#: Kinds that must be settled.
MOVING = {str(kind.type): kind for kind in KINDS if kind.moved_at is not None}
#: Kinds of money that must come back: refunds that a bank returned (nothing changes them after that), and
#: disputes that were won.
RETURNING = {
    "refund_back": Kind(
        LineType.REFUND,
        Refund,
        Refund.amount,
        Attempt.connector,
        connector_of_attempt,
        Refund.updated_at,
        and_(Refund.status == refunds.Status.FAILED, Refund.succeeded_at.is_not(None)),
        back=True,
    ),
    "dispute_back": Kind(
        LineType.DISPUTE,
        Dispute,
        Dispute.amount,
        Dispute.connector,
        connector_of_attempt,
        Dispute.decided_at,
        and_(Dispute.outcome == "won", Dispute.gateway_reference.is_not(None)),
        back=True,
    ),
}
#: What is looked for in our books, by the phase of a reconciliation that does so.
LOOKED_FOR = {**MOVING, **RETURNING}

Place = tuple[str, str]


def made_at(connector: str, connector_id: str) -> ColumnElement[bool]:
    """Whether an attempt was made at an account, or, by its type twice, without one; an index serves it."""
    if connector_id != connector:
        return Attempt.connector_id == connector_id
    return and_(Attempt.connector_id.is_(None), Attempt.connector == connector)


def between(after: Place, last: Place) -> ColumnElement[bool]:
    """Lines after one place, (settlement, line), up to and with another."""
    line = SettlementLine
    return and_(
        or_(line.settlement_id > after[0], and_(line.settlement_id == after[0], line.id > after[1])),
        or_(line.settlement_id < last[0], and_(line.settlement_id == last[0], line.id <= last[1])),
    )


def chunks(db: Session, *which: ColumnElement[bool]) -> Iterator[ColumnElement[bool]]:
    """The lines that the conditions name, as conditions that each name a chunk of them."""
    after, last = ("", ""), next_place(db, ("", ""), *which)
    while last is not None:
        yield and_(*which, between(after, last))
        after, last = last, next_place(db, last, *which)


def next_place(db: Session, after: Place, *which: ColumnElement[bool]) -> Place | None:
    """Where the chunk after a place ends; None where nothing follows."""
    line = SettlementLine
    further = or_(line.settlement_id > after[0], and_(line.settlement_id == after[0], line.id > after[1]))
    places = (
        select(line.settlement_id, line.id)
        .where(*which, further)
        .order_by(line.settlement_id, line.id)
        .limit(CHUNK)
        .subquery()
    )
    ends = select(places).order_by(places.c.settlement_id.desc(), places.c.id.desc()).limit(1)
    found = db.execute(ends).one_or_none()
    return None if found is None else (found[0], found[1])


def squared(subject_id: Any, *which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a person has taken a transaction or a line off the gateway's account."""
    final = (Resolution.final, Resolution.action.in_(SQUARED))
    return exists().where(Resolution.subject_id == subject_id, *final, *which)


def match(db: Session, which: ColumnElement[bool]) -> None:
    """Find the transactions of these lines, and note on them when they were settled.

    A line that somebody has accepted or written off stays by itself: its money is posted already, so that a
    transaction which is learnt of later is missing, and wants a decision of its own.
    """
    line = SettlementLine
    for kind in KINDS:
        owner = kind.model
        found = kind.joined(select(func.min(owner.id)).select_from(owner)).where(
            owner.gateway_reference == line.reference,
            owner.tenant_id + "" == line.tenant_id,  # by no index, or SQLite would read all of a merchant's
            owner.mode + "" == line.mode,
            owner.currency == line.currency,
            kind.connector_id == line.connector_id,
        )
        unknown = (which, line.type == kind.type, line.transaction_id.is_(None), ~squared(line.id))
        _run(db, update(line).where(*unknown).values(transaction_id=found.scalar_subquery()))
        if kind.dated:
            note_settled(db, kind, and_(which, line.transaction_id.is_not(None)))


def note_settled(db: Session, kind: Kind, which: ColumnElement[bool]) -> None:
    """Note on the transactions of these lines, where nothing stands yet, by which statement they came."""
    line, table = SettlementLine, kind.model.__table__  # the row's own version and times do not change
    theirs = (line.transaction_id == table.c.id, line.type == kind.type)
    first = select(func.min(line.settlement_id)).where(*theirs).scalar_subquery()
    day = select(func.min(func.date(line.settled_at))).where(*theirs).scalar_subquery()
    settled = select(line.transaction_id).where(which, line.type == kind.type)
    _run(
        db,
        update(table)
        .where(table.c.id.in_(settled), table.c.settlement_id.is_(None))
        .values(settlement_id=first, settlement_date=day),
    )


def _run(db: Session, statement: Any) -> None:
    db.execute(statement.execution_options(synchronize_session=False))
