"""Identity checks: begun, submitted and decided in the caller's transaction, which holds the session's lock.

What a decision means for the checkout is services/checkout/identity.py's; documents are in
services/payments/kyc_documents.py.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.errors import Conflict
from app.domain.lifecycles.kyc import OPEN, Status, Trigger
from app.kit import clock
from app.kit.ids import new_id
from app.models.checkout.session import CheckoutSession
from app.models.risk.kyc import KycRequest


def begin(db: Session, session: CheckoutSession, provider: str, *, cause: str) -> KycRequest:
    """The check that is open, or a new one; after a rejection another may be made.

    Raises:
        Conflict: `kyc_approved`, there is nothing left to find out.
    """
    statement = (
        select(KycRequest).where(KycRequest.checkout_id == session.id).order_by(KycRequest.id.desc()).limit(1)
    )
    request = db.scalars(statement).one_or_none()
    if request is not None and request.status in OPEN:
        return request
    if request is not None and request.status == Status.APPROVED:
        raise Conflict("The identity check of this checkout is approved already", code="kyc_approved")
    request = KycRequest(
        id=new_id("kyc"),
        tenant_id=session.tenant_id,
        mode=session.mode,
        checkout_id=session.id,
        provider=provider,
        documents=0,
    )
    db.add(request)
    request.begin(cause=cause)
    _show(session, request)
    return request


def document_came(session: CheckoutSession, request: KycRequest, *, cause: str) -> None:
    """Count a document that was stored; the first one makes the check `submitted`.

    Raises:
        Conflict: it is decided.
    """
    refuse_decided(request)
    if request.status == Status.PENDING:
        request.advance(Trigger.SUBMITTED, cause=cause, documents=1)
        _show(session, request)
        return
    before = request.facts()
    request.documents += 1
    request.note("kyc.document_stored", cause=cause, before=before)


def decide(session: CheckoutSession, request: KycRequest, *, approved: bool, by: str, cause: str) -> bool:
    """End a check; False where it was decided so already.

    Raises:
        Conflict: `kyc_decided`, it was decided otherwise.
    """
    if request.status == (Status.APPROVED if approved else Status.REJECTED):
        return False
    refuse_decided(request)
    request.advance(
        Trigger.APPROVED if approved else Trigger.REJECTED, cause=cause, decided_by=by, decided_at=clock.now()
    )
    _show(session, request)
    return True


def refuse_decided(request: KycRequest) -> None:
    """Raises Conflict where nothing can be added to a check any more."""
    if request.status not in OPEN:
        raise Conflict(f"This identity check is {request.status} already", code="kyc_decided")


def _show(session: CheckoutSession, request: KycRequest) -> None:
    """The session shows its latest check; an earlier one that is decided late does not replace it."""
    shown = (session.kyc or {}).get("kyc_id", "")
    if request.id >= shown:
        session.kyc = request.told()
