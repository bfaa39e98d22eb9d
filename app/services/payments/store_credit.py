"""Store credit: what a merchant owes a customer; refunds are paid into it, and people change it by hand."""

from __future__ import annotations

import re

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidRequest, Unprocessable
from app.kit import clock
from app.kit.ids import new_id
from app.models.catalogue.stored_value import StoreCredit
from app.models.events.journal import record
from app.models.payments.refund import Refund
from app.services.ledger import postings

_CHANGE_ID = re.compile(r"scc_[0-9A-Za-z]{1,40}")


def pay_refund(db: Session, refund: Refund, customer_id: str) -> None:
    """Add a refund to its customer's balance, in the transaction in which the refund succeeds."""
    _add(db, refund.tenant_id, refund.mode, customer_id, refund.currency, refund.amount)
    postings.post_store_credit(db, refund)
    record(
        db,
        "store_credit.credited",
        tenant_id=refund.tenant_id,
        mode=refund.mode,
        entity="customer",
        entity_id=customer_id,
        cause="refund",
        after={"refund_id": refund.id, "amount": refund.amount, "currency": refund.currency},
        **refund.journal_links(),
    )


def new_change_id() -> str:
    """The name of a change that is about to be asked for: asked twice under one name, it is made once."""
    return new_id("scc")


def change(
    actor: Actor, customer_id: str, amount: int, currency: str, reason: str, *, change_id: str
) -> None:
    """Give a customer credit (`amount` above 0, minor units), or take some back that is not spent.

    Raises:
        InvalidRequest: not an amount, a currency, a reason of 1 to 500 characters, or a name of ours.
        Unprocessable: `insufficient_store_credit`, to take more than is free.
        Conflict: another change was made under this name.
    """
    _check(amount, currency, reason, change_id)
    made = f"store_credit:{change_id}"
    if _made_before(actor, made, amount, currency):
        return
    whose = (actor.tenant_id, str(actor.mode))
    try:
        with transaction(actor) as db:
            if amount > 0:
                _add(db, *whose, customer_id, currency, amount)
            else:
                _take(db, actor, customer_id, currency, -amount)
            postings.post_store_credit_change(db, made, *whose, currency, amount)
            record(
                db,
                "store_credit.given" if amount > 0 else "store_credit.taken_back",
                tenant_id=actor.tenant_id,
                mode=str(actor.mode),
                entity="customer",
                entity_id=customer_id,
                cause=str(actor.kind),
                after={"id": change_id, "amount": abs(amount), "currency": currency, "reason": reason},
            )
    except IntegrityError as error:  # the same page, sent twice at once
        if not _made_before(actor, made, amount, currency):
            raise Conflict("Open this page again before you send it") from error


def _check(amount: int, currency: str, reason: str, change_id: str) -> None:
    if not 0 < abs(amount) <= money.MAX_AMOUNT:
        raise InvalidRequest("Enter an amount like 12.50", field="amount")
    if not money.is_currency(currency):
        raise InvalidRequest("Enter a currency like GBP", field="currency")
    if not 0 < len(reason.strip()) <= 500:
        raise InvalidRequest("Say why, in at most 500 characters", field="reason")
    if not _CHANGE_ID.fullmatch(change_id):
        raise InvalidRequest("Open this page again before you send it")


def _made_before(actor: Actor, made: str, amount: int, currency: str) -> bool:
    """Whether the ledger has this very change of this merchant's already; raises Conflict for another one."""
    with reading() as db:
        known = postings.sides_of(db, made, actor)
    if known is None:
        return False
    if known.get(postings.STORE_CREDIT) != (currency, -amount):
        raise Conflict("This page was sent before, with another amount. Open it again.")
    return True


def _add(db: Session, tenant_id: str, mode: str, customer_id: str, currency: str, amount: int) -> None:
    now = clock.now()
    dialect = postgresql if db.get_bind().dialect.name == "postgresql" else sqlite
    values = {
        "id": new_id("scr"),
        "tenant_id": tenant_id,
        "mode": mode,
        "customer_id": customer_id,
        "currency": currency,
        "balance": amount,
        "held": 0,
        "created_at": now,
        "updated_at": now,
    }
    db.execute(
        dialect.insert(StoreCredit)
        .values(values)
        .on_conflict_do_update(
            index_elements=["tenant_id", "mode", "customer_id", "currency"],
            set_={"balance": StoreCredit.balance + amount, "updated_at": now},
        )
    )


def _take(db: Session, actor: Actor, customer_id: str, currency: str, amount: int) -> None:
    """By one conditional UPDATE, so that what is promised to checkouts stays."""
    mine = (
        StoreCredit.tenant_id == actor.tenant_id,
        StoreCredit.mode == str(actor.mode),
        StoreCredit.customer_id == customer_id,
        StoreCredit.currency == currency,
    )
    enough = update(StoreCredit).where(*mine, StoreCredit.balance - StoreCredit.held >= amount)
    changed = enough.values(balance=StoreCredit.balance - amount, updated_at=clock.now())
    if db.execute(changed.execution_options(synchronize_session=False)).rowcount:  # type: ignore[attr-defined]
        return
    free = db.scalar(select(StoreCredit.balance - StoreCredit.held).where(*mine)) or 0
    raise Unprocessable(
        f"{money.format_money(free, currency)} can be taken back",
        code="insufficient_store_credit",
        field="amount",
    )
