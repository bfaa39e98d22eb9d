"""Manual review of a checkout: given to somebody, decided, and what that does (CK-049, docs/adr/0022).

While a review is pending nothing is paid or finalised. An approved one lets the checkout go on; a rejected
one cancels it and lets go of what it holds, once the gateway has said what became of a payment under way.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import retrying, transaction
from app.domain.actor import Actor, TenantProfile, system_actor
from app.domain.errors import Conflict, InvalidState, NotFound, ServiceUnavailable
from app.domain.lifecycles.checkout_sessions import Status
from app.domain.lifecycles.finalizations import Status as RunStatus
from app.domain.lifecycles.reviews import Status as ReviewStatus
from app.models.access.user import User
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import record
from app.models.risk.review import Review
from app.services.access import tenants
from app.services.checkout import cancellation, rollback, runs, sessions
from app.services.operations import jobs
from app.services.risk import reviews

#: A checkout in these is over: nobody reviews it any more.
OVER = frozenset({Status.COMPLETED, Status.CANCELED})


def assign(actor: Actor, checkout_id: str, assignee_id: str, note: str | None) -> Review:
    """Put a checkout under review and give it to somebody; another time it changes hands (CK-049).

    Raises:
        NotFound: no such checkout, or the assignee is nobody of this merchant.
        InvalidState: it is completed or canceled.
    """

    def once() -> Review:
        with transaction(actor) as db:
            session = sessions.find(db, actor, checkout_id, lock=True)
            refuse_over(session)
            _refuse_stranger(db, actor, assignee_id)
            review = hold(db, session, source=reviews.PERSON, cause=str(actor.kind))
            reviews.assign(
                session, review, assignee_id=assignee_id, by=actor.id, note=note, cause=str(actor.kind)
            )
            return review

    return retrying(once)


def decide(actor: Actor, checkout_id: str, *, approved: bool, note: str | None) -> Review:
    """End the review of a checkout; the same decision again changes nothing.

    Raises:
        NotFound: no such checkout.
        Conflict: `no_review` (it never had one), `review_decided` (it was decided otherwise).
    """

    def once() -> Review:
        with transaction(actor) as db:
            session = sessions.find(db, actor, checkout_id, lock=True)
            review = reviews.latest(db, session)
            if review is None:
                raise Conflict("This checkout is not under review", code="no_review")
            if review.status == ReviewStatus.PENDING:
                reviews.decide(
                    session, review, approved=approved, by=actor.id, note=note, cause=str(actor.kind)
                )
                if not approved:
                    turn_away(db, session, actor.tenant, cause="review_rejected")
            elif review.status != (ReviewStatus.APPROVED if approved else ReviewStatus.REJECTED):
                raise Conflict(f"This review is {review.status} already", code="review_decided")
            return review

    return retrying(once)


def hold(db: Session, session: CheckoutSession, *, source: str, cause: str) -> Review:
    """The pending review of a checkout, begun where it has none; it then lives as long as a checkout may.

    What was turned down stays so, unless a person takes it up again.
    """
    last = reviews.latest(db, session)
    if last is not None and last.status == ReviewStatus.REJECTED and source != reviews.PERSON:
        return last
    longest = session.created_at + timedelta(seconds=sessions.MAX_LIFETIME_SECONDS)
    session.expires_at = max(session.expires_at, longest)
    return reviews.begin(db, session, source=source, cause=cause)


def turn_away(db: Session, session: CheckoutSession, profile: TenantProfile, *, cause: str) -> None:
    """Cancel a checkout that may not be sold; with a payment under way the job does it, by its outcome.

    What a finalisation that broke off has kept for a person to decide about is given back by the job, too.
    A completed one is left as it is: the goods are sold, and refund or rollback are the merchant's choice.
    """
    run = runs.of(db, session) if session.status == Status.FAILED else None
    unsettled = run is not None and run.status in (RunStatus.FAILED, RunStatus.RUNNING)
    if session.status == Status.PAYMENT_PROCESSING or unsettled:
        jobs.enqueue(
            db,
            "checkout.turn_away",
            {"checkout_id": session.id, "tenant_id": session.tenant_id, "mode": session.mode},
            tenant_id=session.tenant_id,
            mode=session.mode,
        )
    elif session.status in OVER:
        _note_too_late(db, session, cause)
    else:
        with suppress(InvalidState):  # failed, and a person has yet to see to its payment
            sessions.cancel(system_actor(profile, session.mode), session.id, cause=cause)


def go_on_turning_away(tenant_id: str, mode: str, checkout_id: str) -> None:
    """Cancel a checkout and the payment that was under way; the job `checkout.turn_away`.

    Money that was captured for a sale that has not been made is rolled back: the checkout ends as failed.

    Raises:
        ServiceUnavailable: the gateway has yet to say what became of the payment, or another system of the
            order; the job runs again.
    """
    actor = system_actor(tenants.profile(tenant_id, mode), mode)
    if sessions.get(actor, checkout_id).status == Status.FAILED:
        with suppress(InvalidState):  # nothing of it was kept
            rollback.roll_back(actor, checkout_id)
            return
    try:
        session = cancellation.cancel(actor, checkout_id, release_inventory=True)
    except InvalidState:
        session = sessions.get(actor, checkout_id)
        if session.status == Status.PAYMENT_PROCESSING:
            session, _ = rollback.roll_back(actor, checkout_id)
        elif session.status == Status.FAILED:
            raise ServiceUnavailable("The checkout is being completed by hand") from None
        with transaction(actor) as db:
            _note_too_late(db, session, "turn_away")
    if session.status == Status.PAYMENT_PROCESSING:
        raise ServiceUnavailable("The payment is not decided yet")


def refuse_over(session: CheckoutSession) -> None:
    """Raises InvalidState where a checkout is completed or canceled."""
    if session.status in OVER:
        raise InvalidState(f"A checkout that is {session.status} cannot be reviewed")


def _refuse_stranger(db: Session, actor: Actor, user_id: str) -> None:
    statement = select(User.id).where(
        User.id == user_id, User.tenant_id == actor.tenant_id, User.disabled_at.is_(None)
    )
    if db.scalar(statement) is None:
        raise NotFound("There is no such person in this team", code="assignee_not_found", field="assignee_id")


def _note_too_late(db: Session, session: CheckoutSession, cause: str) -> None:
    if session.status != Status.COMPLETED:
        return
    record(
        db,
        "checkout.rejected_too_late",
        tenant_id=session.tenant_id,
        mode=session.mode,
        entity="checkout",
        entity_id=session.id,
        cause=cause,
        after=session.facts(),
        **session.journal_links(),
    )
