"""Payouts: the amount leaves the available balance at once, the money goes to the bank by a job.

Contract: PY-048, PY-049. One conditional UPDATE keeps payouts within what gateways have settled, whoever
asks at the same moment. A time-out stays processing and is asked for by our key, so that nothing is paid
twice; a payout that fails or comes back gives its amount back.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.connectors import base, settling
from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, NotFound, Unprocessable
from app.domain.lifecycles import payouts as lifecycle
from app.domain.money import is_currency
from app.domain.rules.cards import holds_card_number, is_iban
from app.domain.rules.retry import query_delay
from app.kit import clock
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.events.journal import record
from app.models.treasury.payout import Payout
from app.services.ledger import balances, postings
from app.services.operations import jobs
from app.services.operations.paging import newest_first
from app.services.treasury import gateways

#: A payout that arrived may come back; it is asked about for so long.
WATCHED = timedelta(days=3)
#: How long one sweeper has for a payout before another may look at it.
CLAIM_SECONDS = 60

_S, _T = lifecycle.Status, lifecycle.Trigger


def create(
    actor: Actor,
    amount: int,
    currency: str,
    destination: str,
    *,
    merchant_account_id: str | None = None,
    connector_id: str | None = None,
    metadata: dict[str, Any] | None = None,
    payout_id: str | None = None,
) -> Payout:
    """Pay settled money out; without `connector_id` from the first gateway that holds enough.

    Raises:
        NotFound: no such connector.
        InvalidRequest: no such currency.
        Unprocessable: no gateway holds so much, or the destination is no bank account.
    """
    _check(currency, destination)
    able = gateways.paying(actor.tenant_id, str(actor.mode))
    candidates = [gateways.named(connector_id, able)] if connector_id else able
    with transaction(actor) as db:
        source = _reserve(db, actor, candidates, currency, amount)
        payout = Payout(
            id=payout_id or new_id("po"),
            tenant_id=actor.tenant_id,
            mode=str(actor.mode),
            connector=source.type,
            connector_id=source.id,
            merchant_account_id=merchant_account_id,
            amount=amount,
            currency=currency,
            destination=destination,
            metadata_=metadata or {},
            created_by=actor.id,
        )
        db.add(payout)
        payout.begin(cause=str(actor.kind))
        postings.post_payout(db, payout)
        jobs.enqueue(
            db,
            "payouts.send",
            {"payout_id": payout.id},
            tenant_id=payout.tenant_id,
            mode=payout.mode,
            unique_key=f"payouts.send:{payout.id}",
        )
        return payout


def create_once(
    actor: Actor, payout_id: str, amount: int, currency: str, destination: str, *, connector_id: str | None
) -> Payout:
    """Pay out under an id that was made when it was asked whether to: the same form sent twice pays once.

    Raises:
        NotFound, Unprocessable: see `create`.
    """
    with suppress(NotFound):
        return get(actor, payout_id)
    try:
        return create(actor, amount, currency, destination, connector_id=connector_id, payout_id=payout_id)
    except IntegrityError:  # the other one was quicker: what this one took is given back with its rollback
        return get(actor, payout_id)


def list_page(actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[Payout]:
    """Payouts of this merchant, newest first.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    statement = _mine(actor)
    return newest_first(statement, Payout.id, limit=limit, cursor=cursor)


def get(actor: Actor, payout_id: str) -> Payout:
    """One payout of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        found = db.scalars(_mine(actor).where(Payout.id == payout_id)).one_or_none()
    if found is None:
        raise NotFound("Payout not found", code="payout_not_found")
    return found


def send(payout_id: str) -> None:
    """Send a payout to its gateway, or ask what became of it; the job `payouts.send`."""
    with transaction() as db:
        payout = db.get_one(Payout, payout_id, with_for_update=True)
        first = payout.status == _S.PENDING
        if first:
            payout.advance(_T.SUBMITTED, cause="worker", next_query_at=_in(query_delay(0) or 0))
        elif payout.status not in (_S.PROCESSING, _S.PAID):
            return
    result = gateways.pay_out(payout) if first else gateways.find_payout(payout)
    if isinstance(result, base.NotFound) and payout.status == _S.PROCESSING:
        result = gateways.pay_out(payout)  # we died between writing and calling: the key makes it safe
    _record(payout, result)


def sweep(limit: int = 50) -> int:
    """Ask about payouts whose outcome is still open, or may yet come back. Returns how many."""
    statement = select(Payout.id, Payout.next_query_at).where(Payout.next_query_at <= clock.now())
    with reading() as db:
        due = db.execute(statement.order_by(Payout.next_query_at).limit(limit)).all()
    asked = 0
    for payout_id, seen in due:
        if _claim(payout_id, seen):
            send(payout_id)
            asked += 1
    return asked


def _claim(payout_id: str, seen: datetime | None) -> bool:
    """Take a payout for this sweeper; one that cannot be recorded waits behind the others from then on."""
    claim = (
        update(Payout)
        .where(Payout.id == payout_id, Payout.next_query_at == seen)
        .values(next_query_at=_in(CLAIM_SECONDS), updated_at=Payout.updated_at)
        .execution_options(synchronize_session=False)
    )
    with transaction() as db:
        return bool(db.execute(claim).rowcount)  # type: ignore[attr-defined]


def _check(currency: str, destination: str) -> None:
    if not is_currency(currency):
        raise InvalidRequest("This currency is not supported", code="unsupported_currency", field="currency")
    if holds_card_number(destination) and not is_iban(destination):
        message = "A card number is no bank account"
        raise Unprocessable(message, code="invalid_destination", field="destination")


def _reserve(
    db: Session, actor: Actor, candidates: list[gateways.Source], currency: str, amount: int
) -> gateways.Source:
    """Take the amount from the first gateway that has it."""
    for source in candidates:
        account = postings.available(source.id)
        if balances.take(db, actor.tenant_id, str(actor.mode), account, currency, amount):
            return source
    held = balances.guarded(actor, currency)
    left = {source.id: held.get(postings.available(source.id), 0) for source in candidates}
    raise Unprocessable(
        "More than is available",
        code="insufficient_balance",
        field="amount",
        explain={"reason": "insufficient_balance", "currency": currency, "available": left},
    )


def _record(seen: Payout, result: settling.PayoutResult | settling.PayoutLookupResult) -> None:
    with transaction() as db:
        payout = db.get_one(Payout, seen.id, with_for_update=True)
        if payout.version != seen.version:
            return
        match result:
            case base.Approved() if (result.amount, result.currency) != (payout.amount, payout.currency):
                _alarm(db, payout)
            case base.Approved() if payout.status == _S.PROCESSING:
                payout.advance(
                    _T.PAID,
                    cause="gateway",
                    gateway_reference=result.reference,
                    paid_at=clock.now(),
                    queries=0,
                    next_query_at=_in(60),
                )
                postings.post_payout_paid(db, payout)
            case base.Declined() if payout.status == _S.PAID:
                payout.advance(_T.RETURNED, cause="gateway", **_failure(result))
                postings.post_payout_returned(db, payout)
            case _ if payout.status == _S.PAID:
                _watch(payout)
            case base.Declined():
                payout.advance(_T.FAILED, cause="gateway", **_failure(result))
                postings.post_payout_failed(db, payout)
            case base.Pending():
                payout.gateway_reference = result.reference
                _ask_again(db, payout)
            case _:
                _ask_again(db, payout)


def _failure(result: base.Declined) -> dict[str, Any]:
    kept = {"gateway_reference": result.reference} if result.reference else {}
    return {"failure_reason": result.code, "next_query_at": None, **kept}


def _ask_again(db: Session, payout: Payout) -> None:
    """Ask later, in ever longer steps and then daily; after a day of silence a person is called as well."""
    delay = query_delay(payout.queries)
    payout.queries += 1
    payout.next_query_at = _in(delay if delay is not None else 24 * 3600)
    if delay is None and not payout.needs_review:
        _alarm(db, payout, ask=True)


def _watch(payout: Payout) -> None:
    delay = query_delay(payout.queries)
    payout.queries += 1
    since = clock.now() - (payout.paid_at or clock.now())
    payout.next_query_at = _in(delay or 24 * 3600) if since < WATCHED else None


def _alarm(db: Session, payout: Payout, *, ask: bool = False) -> None:
    """Nobody knows, or the gateway names another amount: touch nothing, and call a person."""
    payout.needs_review = True
    if not ask:
        payout.next_query_at = None
    record(
        db,
        "payout.needs_review",
        tenant_id=payout.tenant_id,
        mode=payout.mode,
        entity="payout",
        entity_id=payout.id,
        cause="gateway",
        after=payout.facts(),
    )


def _in(seconds: float) -> Any:
    return clock.now() + timedelta(seconds=seconds)


def _mine(actor: Actor) -> Select[Payout]:
    return select(Payout).where(Payout.tenant_id == actor.tenant_id, Payout.mode == actor.mode)
