"""The identity check of a checkout's buyer: started, its documents taken, decided (CK-047, CK-048, OP-36).

A check keeps nobody from paying by itself. A rejected one puts the checkout under review, so that a person
decides whether it is sold (docs/adr/0022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import reading, retrying, transaction
from app.domain.actor import Actor, system_actor
from app.domain.errors import InvalidState, NotFound
from app.domain.lifecycles.kyc import OPEN
from app.models.checkout.session import CheckoutSession
from app.models.payments.upload import Upload
from app.models.risk.kyc import KycRequest
from app.providers import registry
from app.providers.base import Scope
from app.services.access import tenants
from app.services.checkout import reviewing, sessions
from app.services.events import provider_notices
from app.services.operations.consulting import consulting
from app.services.payments import kyc_documents, uploads
from app.services.risk import kyc, reviews

#: Who decided by webhook, as the journal says it.
PROVIDER = "kyc_provider"


@dataclass(frozen=True, slots=True)
class Started:
    """A check, and where its next document goes: our signed address, or the provider's own page."""

    request: KycRequest
    waiting: Upload | None = None

    @property
    def upload_url(self) -> str | None:
        """The address, where one is waited for."""
        if self.request.provider_url is not None:
            return self.request.provider_url
        return uploads.address(self.waiting) if self.waiting is not None else None


@consulting
def start(actor: Actor, checkout_id: str) -> Started:
    """Begin the check of a checkout, or go on with the one that is open, and make room for a document.

    Raises:
        NotFound: no such checkout, or it is another merchant's.
        InvalidState: it is completed or canceled.
        Conflict: `kyc_approved`.
        Unprocessable: `too_many_documents`.
        ProviderUnavailable: the merchant's own service did not answer; the check is begun, and may be asked
            for again.
    """
    request = _begun(actor, checkout_id)
    if request.provider_url is not None:
        return Started(request)
    with transaction(actor) as db:
        return Started(request, kyc_documents.announce(db, request, actor.id))


@consulting
def hand_in(actor: Actor, checkout_id: str, content_type: str, content: bytes) -> Started:
    """Begin the check of a checkout, or go on with the one that is open, with a document that came along.

    Raises:
        NotFound, InvalidState, Conflict: see `start`.
        PayloadTooLarge, InvalidRequest, Unprocessable: see `kyc_documents.store`.
    """
    kyc_documents.check(content_type, content)
    request = _begun(actor, checkout_id)
    kyc_documents.store(actor, request, content_type, content)
    return Started(get(actor, request.id))


def get(actor: Actor, kyc_id: str) -> KycRequest:
    """One check of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        return _find(db, actor, kyc_id)


def document(actor: Actor, kyc_id: str, document_id: str) -> tuple[Upload, bytes]:
    """A document of a check, for whoever has to decide; see `kyc_documents.content`."""
    return kyc_documents.content(actor, get(actor, kyc_id), document_id)


def complete(actor: Actor, kyc_id: str, *, approved: bool) -> KycRequest:
    """Decide a check; the same decision again changes nothing (CK-048).

    Raises:
        NotFound: there is none, or it is another merchant's.
        Conflict: `kyc_decided`, it was decided otherwise.
    """

    found = get(actor, kyc_id)

    def once() -> KycRequest:
        with transaction(actor) as db:
            return _decide(db, found, approved=approved, by=actor.id, cause=str(actor.kind))

    return retrying(once)


def receive(raw: bytes, headers: Mapping[str, str]) -> bool:
    """Take the provider's decision, `{"id"?, "kyc_id", "result"}`; False for one that we had already.

    One that comes after another decision is kept and changes nothing.

    Raises:
        Unauthenticated: the signature is not good, or it names no check.
        InvalidRequest: it is signed, and says nothing that we understand.
    """
    said = provider_notices.read(raw)
    found = _named(said)
    if found is None:
        raise provider_notices.refusal()
    provider_notices.verify(raw, headers, found.tenant_id, "kyc")
    event_id = provider_notices.event_id(raw, said)
    result = provider_notices.one_of(said, "result", ("approved", "rejected"))
    return provider_notices.once(
        lambda: _take(found, event_id, result), tenant_id=found.tenant_id, provider="kyc", event_id=event_id
    )


def _begun(actor: Actor, checkout_id: str) -> KycRequest:
    """The open check, known to its provider. Asked again after a crash a provider says the same."""
    provider = registry.kyc(actor.tenant)

    def once() -> KycRequest:
        with transaction(actor) as db:
            session = sessions.find(db, actor, checkout_id, lock=True)
            if session.status in reviewing.OVER:
                raise InvalidState(f"A checkout that is {session.status} has nobody left to identify")
            return kyc.begin(db, session, provider.name, cause=str(actor.kind))

    request = retrying(once)
    if request.provider_reference is not None:
        return request
    opening = provider.open(Scope(actor.tenant, str(actor.mode)), request.id)
    if opening.reference is None and opening.url is None:
        return request
    with transaction(actor) as db:
        fresh = db.get_one(KycRequest, request.id, with_for_update=True)
        fresh.provider_reference, fresh.provider_url = opening.reference, opening.url
        return fresh


def _decide(db: Session, found: KycRequest, *, approved: bool, by: str, cause: str) -> KycRequest:
    session = db.get_one(CheckoutSession, found.checkout_id, with_for_update=True)
    request = db.get_one(KycRequest, found.id, with_for_update=True)
    changed = kyc.decide(session, request, approved=approved, by=by, cause=cause)
    if changed and not approved and session.status not in reviewing.OVER:
        reviewing.hold(db, session, source=reviews.KYC, cause=cause)
    return request


def _take(found: KycRequest, event_id: str, result: str) -> bool:
    profile = tenants.profile(found.tenant_id, found.mode)
    with transaction(system_actor(profile, found.mode, PROVIDER)) as db:
        session = db.get_one(CheckoutSession, found.checkout_id, with_for_update=True)
        request = db.get_one(KycRequest, found.id, with_for_update=True)
        fresh = provider_notices.is_new(
            db,
            tenant_id=request.tenant_id,
            mode=request.mode,
            provider="kyc",
            event_id=event_id,
            type_=result,
            payload={"kyc_id": request.id, "checkout_id": session.id, "result": result},
        )
        if fresh and request.status in OPEN:
            _decide(db, request, approved=result == "approved", by=PROVIDER, cause=PROVIDER)
        return fresh


def _named(said: Mapping[str, object]) -> KycRequest | None:
    kyc_id = provider_notices.text(said, "kyc_id")
    with reading() as db:
        return db.get(KycRequest, kyc_id) if kyc_id is not None else None


def _find(db: Session, actor: Actor, kyc_id: str) -> KycRequest:
    statement = select(KycRequest).where(
        KycRequest.id == kyc_id, KycRequest.tenant_id == actor.tenant_id, KycRequest.mode == actor.mode
    )
    found = db.scalars(statement).one_or_none()
    if found is None:
        raise NotFound("Identity check not found", code="kyc_not_found")
    return found
