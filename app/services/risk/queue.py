"""What waits for a person: manual reviews and identity checks of a merchant, each with its checkout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Select, select

from app.db import reading
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, NotFound
from app.domain.lifecycles import kyc as kyc_lifecycle
from app.domain.lifecycles import reviews as review_lifecycle
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from app.models.checkout.session import CheckoutSession
from app.models.risk.kyc import KycRequest
from app.models.risk.review import Review

W = TypeVar("W", Review, KycRequest)

#: Nobody has decided about these: the one that has waited longest comes first.
_WAITING = (review_lifecycle.Status.PENDING, kyc_lifecycle.Status.SUBMITTED)


@dataclass(frozen=True, slots=True)
class Case(Generic[W]):
    """A review or a check, and the checkout that it is about."""

    row: W
    session: CheckoutSession


def reviews(
    actor: Actor, status: str, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[Case[Review]]:
    """Reviews in a status: those that wait from the oldest on, others from the newest.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    return _page(actor, Review, status, limit, cursor)


def checks(
    actor: Actor, status: str, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[Case[KycRequest]]:
    """Identity checks in a status, in the order of `reviews`; raises as it does."""
    return _page(actor, KycRequest, status, limit, cursor)


def review_of(actor: Actor, checkout_id: str) -> Case[Review]:
    """The latest review of a checkout.

    Raises:
        NotFound: it has none, or is another merchant's.
    """
    statement = _mine(actor, Review).where(Review.checkout_id == checkout_id)
    with reading() as db:
        found = db.execute(statement.order_by(Review.id.desc()).limit(1)).one_or_none()
    if found is None:
        raise NotFound("This checkout is not under review", code="review_not_found")
    return Case(found[0], found[1])


def _page(actor: Actor, model: type[W], status: str, limit: int, cursor: str | None) -> Page[Case[W]]:
    oldest_first = status in _WAITING
    statement = _mine(actor, model).where(model.status == status)
    if cursor:
        last = decode_cursor(cursor)
        if last is None:
            raise InvalidRequest("Not a cursor of this list", field="cursor")
        statement = statement.where(model.id > last if oldest_first else model.id < last)
    ordered = statement.order_by(model.id if oldest_first else model.id.desc()).limit(limit + 1)
    with reading() as db:
        found = [Case(row, session) for row, session in db.execute(ordered)]
    return Page(found[:limit], encode_cursor(found[limit - 1].row.id) if len(found) > limit else None)


def _mine(actor: Actor, model: type[W]) -> Select[W, CheckoutSession]:
    return (
        select(model, CheckoutSession)
        .join(CheckoutSession, CheckoutSession.id == model.checkout_id)
        .where(model.tenant_id == actor.tenant_id, model.mode == str(actor.mode))
    )
