"""Manual reviews: opened, assigned and decided in the caller's transaction, which holds the session's lock.

What a decision means for the checkout is services/checkout/reviewing.py's.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.errors import Conflict
from app.domain.lifecycles.reviews import Status, Trigger
from app.kit import clock
from app.kit.ids import new_id
from app.models.checkout.session import CheckoutSession
from app.models.risk.review import Review

#: Who asked for a review: a person, the fraud provider, or an identity check that was rejected.
PERSON, PROVIDER, KYC = "person", "fraud_provider", "kyc"


class UnderReview(Conflict):
    """A person has yet to decide about a checkout, or has decided against it."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message, code=code, explain={"reason": code})


def refuse_pending(session: CheckoutSession) -> None:
    """Raises UnderReview where a checkout may be neither paid nor finalised.

    It looks at the session alone. A payment that is captured already goes on all the same.
    """
    status = (session.review or {}).get("status")
    if status == Status.PENDING:
        raise UnderReview(
            "This order is being checked by the shop; it can be paid once that is done",
            "manual_review_pending",
        )
    if status == Status.REJECTED:
        raise UnderReview("This order was checked and turned down by the shop", "manual_review_rejected")


def begin(db: Session, session: CheckoutSession, *, source: str, cause: str) -> Review:
    """The review that is pending, or a new one.

    A rejected identity wants a person: the fraud provider then no longer ends what it had asked for.
    """
    review = pending(db, session)
    if review is not None and source == KYC and review.source == PROVIDER:
        before, review.source = review.facts(), source
        review.note("review.source_changed", cause=cause, before=before)
        _show(session, review)
    if review is None:
        review = Review(
            id=new_id("rev"),
            tenant_id=session.tenant_id,
            mode=session.mode,
            checkout_id=session.id,
            source=source,
        )
        db.add(review)
        review.begin(cause=cause)
        _show(session, review)
    return review


def assign(
    session: CheckoutSession, review: Review, *, assignee_id: str, by: str, note: str | None, cause: str
) -> None:
    """Give a pending review to somebody; the same again changes nothing, no note leaves the last one."""
    changes = {"assignee_id": assignee_id, "assigned_by": by}
    if note is not None:
        changes["assignment_note"] = note
    if any(getattr(review, name) != value for name, value in changes.items()):
        review.advance(Trigger.ASSIGNED, cause=cause, **changes)
        _show(session, review)


def decide(
    session: CheckoutSession, review: Review, *, approved: bool, by: str, note: str | None, cause: str
) -> None:
    """End a pending review.

    Raises:
        IllegalTransition: it is decided.
    """
    review.advance(
        Trigger.APPROVED if approved else Trigger.REJECTED,
        cause=cause,
        decided_by=by,
        decided_at=clock.now(),
        decision_note=note,
    )
    _show(session, review)


def pending(db: Session, session: CheckoutSession) -> Review | None:
    """The review that waits for a decision."""
    found = latest(db, session)
    return found if found is not None and found.status == Status.PENDING else None


def latest(db: Session, session: CheckoutSession) -> Review | None:
    """The newest review of a checkout."""
    statement = select(Review).where(Review.checkout_id == session.id).order_by(Review.id.desc()).limit(1)
    return db.scalars(statement).one_or_none()


def _show(session: CheckoutSession, review: Review) -> None:
    session.review = review.told()
