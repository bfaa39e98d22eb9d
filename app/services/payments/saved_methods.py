"""What a customer keeps: attaching with consent, listing, the default, revoking (PY-002 to PY-006, OP-37)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, NotFound, Unprocessable
from app.domain.lifecycles import methods as lifecycle
from app.kit import clock
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.events.journal import record
from app.models.payments.method import PaymentMethod
from app.services.operations import paging
from app.services.payments.methods import consent_required, revoked

#: How many keys the metadata of a method may have.
MAX_METADATA = 50

_S, _T = lifecycle.Status, lifecycle.Trigger


@dataclass(frozen=True, slots=True)
class MethodChange:
    """What to change; None leaves a thing as it is. A metadata value of None takes its key away."""

    metadata: Mapping[str, Any] | None = None
    is_default: bool | None = None
    version: int | None = None


def list_page(
    actor: Actor,
    customer_id: str,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    page: int | None = None,
) -> Page[PaymentMethod]:
    """A customer's methods that are not revoked, newest first; see `paging.newest_first`."""
    statement = _of_customer(actor, customer_id)
    return paging.newest_first(statement, PaymentMethod.id, limit=limit, cursor=cursor, page=page)


def default_of(actor: Actor, customer_id: str) -> PaymentMethod | None:
    """The method that a customer has chosen to pay with, where there is one that may be charged later."""
    chosen = _of_customer(actor, customer_id).where(PaymentMethod.is_default, PaymentMethod.reusable)
    with reading() as db:
        return db.scalars(chosen).one_or_none()


def attach(
    actor: Actor,
    method_id: str,
    *,
    customer_id: str | None,
    merchant_account_id: str | None = None,
    consent: bool | None = None,
) -> PaymentMethod:
    """Keep a method for a customer or a merchant account; doing it again changes nothing (PY-002).

    Raises:
        NotFound: no such method.
        Unprocessable: `consent_required`, or it was revoked.
        Conflict: it is another customer's.
    """
    with transaction(actor) as db:
        method = _find(db, actor, method_id)
        if method.status != _S.ACTIVE:
            raise revoked()
        if consent is False or not (consent or method.consent):
            raise consent_required()
        if customer_id and method.customer_id not in (None, customer_id):
            raise Conflict("This payment method is another customer's", code="payment_method_attached")
        before = method.facts()
        method.customer_id = customer_id or method.customer_id
        method.merchant_account_id = merchant_account_id or method.merchant_account_id
        if not method.consent:
            method.consent, method.consented_at = True, clock.now()
        method.reusable = True
        _note(db, method, "payment_method.attached", before, str(actor.kind))
        return method


def update(actor: Actor, method_id: str, change: MethodChange) -> PaymentMethod:
    """Change metadata and the default flag (PY-005); a customer has one default.

    Raises:
        NotFound: no such method.
        VersionConflict: it is no longer at `change.version`.
        Unprocessable: it was revoked, has too much metadata, or cannot be a default: nobody keeps it.
    """
    with transaction(actor) as db:
        method = _find(db, actor, method_id, lock=change.is_default is None)
        if change.is_default is not None:
            _lock_family(db, method)
        method.expect_version(change.version)
        if method.status != _S.ACTIVE:
            raise revoked()
        before = method.facts()
        if change.is_default:
            _unset_default(db, method, str(actor.kind))
        if change.metadata is not None:
            method.metadata_ = _merged(method.metadata_, change.metadata)
        if change.is_default is not None:
            method.is_default = change.is_default
        _note(db, method, "payment_method.updated", before, str(actor.kind))
        return method


def revoke(actor: Actor, method_id: str, *, version: int | None = None) -> None:
    """Revoke a method for good (PY-006); the journal keeps who did it. Again, it changes nothing.

    Raises:
        NotFound: no such method.
        VersionConflict: it is no longer at that version.
    """
    with transaction(actor) as db:
        method = _find(db, actor, method_id)
        if method.status == _S.ACTIVE:
            method.expect_version(version)
            method.advance(_T.REVOKED, cause=str(actor.kind), revoked_at=clock.now(), is_default=False)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = {name: value for name, value in {**old, **new}.items() if value is not None}
    if len(merged) > MAX_METADATA:
        raise Unprocessable(
            f"A method has up to {MAX_METADATA} metadata keys", code="too_much_metadata", field="metadata"
        )
    return merged


def _unset_default(db: Session, method: PaymentMethod, cause: str) -> None:
    """Take the flag from whichever method has it, before this one gets it."""
    if method.customer_id is None or not method.reusable:
        raise Unprocessable("Only a method that a customer keeps can be the default", code="consent_required")
    others = _family(method).where(PaymentMethod.is_default, PaymentMethod.id != method.id)
    for other in db.scalars(others):
        before = other.facts()
        other.is_default = False
        _note(db, other, "payment_method.updated", before, cause)


def _lock_family(db: Session, method: PaymentMethod) -> None:
    """Lock what the customer keeps, always in the same order: of two new defaults one comes second."""
    this = select(PaymentMethod).where(PaymentMethod.id == method.id)
    rows = _family(method).order_by(PaymentMethod.id) if method.customer_id else this
    db.scalars(rows.with_for_update().execution_options(populate_existing=True)).all()
    db.refresh(method)


def _family(method: PaymentMethod) -> Select[PaymentMethod]:
    return select(PaymentMethod).where(
        PaymentMethod.tenant_id == method.tenant_id,
        PaymentMethod.mode == method.mode,
        PaymentMethod.customer_id == method.customer_id,
        PaymentMethod.status == _S.ACTIVE,
    )


def _note(db: Session, method: PaymentMethod, event: str, before: dict[str, Any], cause: str) -> None:
    """Write the row and a fact about it, unless nothing has changed."""
    if not db.is_modified(method):
        return
    db.flush()
    record(
        db,
        event,
        tenant_id=method.tenant_id,
        mode=method.mode,
        entity="payment_method",
        entity_id=method.id,
        cause=cause,
        before=before,
        after=method.facts(),
    )


def _find(db: Session, actor: Actor, method_id: str, *, lock: bool = True) -> PaymentMethod:
    statement = _mine(actor).where(PaymentMethod.id == method_id)
    found = db.scalars(statement.with_for_update() if lock else statement).one_or_none()
    if found is None:
        raise NotFound("Payment method not found", code="payment_method_not_found")
    return found


def _of_customer(actor: Actor, customer_id: str) -> Select[PaymentMethod]:
    return _mine(actor).where(PaymentMethod.customer_id == customer_id, PaymentMethod.status == _S.ACTIVE)


def _mine(actor: Actor) -> Select[PaymentMethod]:
    return select(PaymentMethod).where(
        PaymentMethod.tenant_id == actor.tenant_id, PaymentMethod.mode == actor.mode
    )
