"""Gift cards and store credit of a session: applied, taken off again, listed (CK-050 to CK-053).

What is applied is held at once and lowers what is due, and with it the quote that the shopper confirms. A
code is a bearer's secret: it is in no journal entry, and an answer shows its end alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.db import reading
from app.domain.actor import Actor
from app.domain.errors import NotFound, Unprocessable
from app.domain.lifecycles import wallet_holds as lifecycle
from app.kit import clock
from app.kit.ids import new_id
from app.models.catalogue.stored_value import GiftCard, StoreCredit
from app.models.checkout.session import CheckoutSession
from app.models.checkout.wallet_hold import WalletHold
from app.models.insertion import insert_now
from app.services.checkout import dues, gift_cards, intents, sessions, totals, tries, wallet
from app.services.checkout.wallet import GIFT_CARD, STORE_CREDIT
from app.services.operations.consulting import consulting

_S, _T = lifecycle.Status, lifecycle.Trigger


@dataclass(frozen=True, slots=True)
class Part:
    """An instrument and a session: what of it is applied, and what else it would give, in minor units."""

    kind: str
    currency: str
    applied: int
    remaining: int
    label: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Wallet:
    """What is applied to a session, and what its customer could apply."""

    applied: list[Part]
    available: list[Part]


def apply_gift_card(actor: Actor, checkout_id: str, code: str) -> tuple[CheckoutSession, Part]:
    """See `hold_gift_card`; a shopper's tries are counted (CK-050)."""
    tries.count(actor, tries.GIFT_CARD, checkout_id)
    return hold_gift_card(actor, checkout_id, code)


@consulting
def hold_gift_card(
    actor: Actor, checkout_id: str, code: str, *, amount: int | None = None
) -> tuple[CheckoutSession, Part]:
    """Hold of a gift card what is due, or all that it has; again, it holds what else is due.

    With an `amount` it is so much more or none.

    Raises:
        Unprocessable: `giftcard_invalid` (unknown, blocked, expired, another currency), `giftcard_empty`,
            `giftcard_insufficient` where an `amount` is asked for, `nothing_due`.
        InvalidState: the session is over, or being paid.
    """
    with intents.edit_due(actor, checkout_id) as (db, session):
        card = _good_card(db, actor, session, code)
        _refresh(db, actor, session)
        free, due = card.balance - card.held, dues.due(session)
        present = _present(db, session, card.id)
        if present is None and free == 0:
            raise Unprocessable("Nothing is left on this gift card", code="giftcard_empty", field="code")
        if present is None and due == 0:
            raise Unprocessable("Nothing is left to pay", code="nothing_due")
        more = min(free, due) if amount is None else amount
        if more > free:
            raise Unprocessable(
                "There is not so much on this gift card",
                code="giftcard_insufficient",
                field="code",
                explain={"reason": "giftcard_insufficient", "remaining": free},
            )
        label = gift_cards.label(card.code)
        hold = _hold(db, actor, session, card, present, more, label)
        return session, Part(GIFT_CARD, card.currency, hold.amount, free - more, label, hold.id)


def lock_cards(db: Session, actor: Actor, codes: Iterable[str]) -> None:
    """Lock cards that one transaction holds parts of, in the order in which sales take them (wallet.py)."""
    db.execute(_named(actor, codes).order_by(GiftCard.id).with_for_update())


def remove_gift_card(actor: Actor, checkout_id: str, code: str) -> tuple[CheckoutSession, Part]:
    """Take a gift card off again: by its code, or by the id under which the wallet lists it (CK-051).

    Raises:
        NotFound: `giftcard_not_applied`.
        InvalidState: the session is over, or being paid.
    """
    with intents.edit_due(actor, checkout_id) as (db, session):
        card = _find_card(db, actor, code)
        holds = wallet.held(db, session, lock=True)
        names = {code, card.id} if card else {code}
        hold = next((h for h in holds if h.kind == GIFT_CARD and names & {h.id, h.instrument_id}), None)
        if hold is None:
            raise NotFound("This gift card is not applied", code="giftcard_not_applied")
        row = wallet.instrument(db, GIFT_CARD, hold.instrument_id)
        wallet.let_go(db, session, hold, str(actor.kind))
        return session, Part(
            GIFT_CARD, hold.currency, 0, row.balance - row.held + hold.amount, hold.label, hold.id
        )


@consulting
def apply_store_credit(
    actor: Actor, checkout_id: str, amount: int, *, more: bool = False
) -> tuple[CheckoutSession, Part]:
    """Let so much of the customer's credit pay, at most what is due (CK-052); 0 takes it off again.

    `more` says that it is beside what pays already.

    Whose credit it is the merchant's server has said, never a browser (drafts.py, details.py).

    Raises:
        Unprocessable: `customer_required`, `insufficient_store_credit`, `nothing_due`.
        InvalidState: the session is over, or being paid.
    """
    with intents.edit_due(actor, checkout_id) as (db, session):
        row = _credit(db, actor, session)
        present = _present(db, session, row.id) if row is not None else None
        had = present.amount if present is not None else 0
        amount += had if more else 0
        available = row.balance - row.held + had if row is not None else 0
        if row is None and not amount:
            return session, Part(STORE_CREDIT, session.currency, 0, 0)
        if row is None or amount > available:
            raise Unprocessable(
                "There is not so much store credit",
                code="insufficient_store_credit",
                field="amount",
                explain={"reason": "insufficient_store_credit", "available": available},
            )
        _refresh(db, actor, session)
        others = session.wallet_applied - had
        wanted = min(amount, max(session.grand_total - others, 0))
        if amount and not wanted:
            raise Unprocessable("Nothing is left to pay", code="nothing_due")
        hold_id = present.id if present is not None else None
        if wanted:
            hold_id = _hold(db, actor, session, row, present, wanted - had).id
        elif present is not None:
            wallet.let_go(db, session, present, str(actor.kind))
        return session, Part(STORE_CREDIT, row.currency, wanted, available - wanted, id=hold_id)


def show(actor: Actor, checkout_id: str) -> tuple[CheckoutSession, Wallet]:
    """What is applied to a session, and what of its customer's credit could be (CK-053)."""
    with reading() as db:
        session = sessions.find(db, actor, checkout_id)
        holds = _applied(db, session)
        parts = wallet.shares(session, holds)
        cards = {card.id: card for card in db.scalars(_cards_of(holds))}
        credit = _credit_of(db, actor, session)
        free = {row.id: row.balance - row.held for row in cards.values()}
        if credit is not None:
            free[credit.id] = credit.balance - credit.held
        applied = [
            Part(
                hold.kind,
                hold.currency,
                parts[hold.id],
                free.get(hold.instrument_id, 0),
                hold.label,
                hold.id,
            )
            for hold in holds
        ]
        left = [Part(STORE_CREDIT, credit.currency, 0, free[credit.id])] if credit else []
        return session, Wallet(applied, [part for part in left if part.remaining])


def _hold(
    db: Session,
    actor: Actor,
    session: CheckoutSession,
    row: GiftCard | StoreCredit,
    present: WalletHold | None,
    change: int,
    label: str | None = None,
) -> WalletHold:
    """Hold so much more of an instrument, or less; the session owes the rest."""
    if change and not wallet.promise(db, row, change):
        raise Unprocessable("It was used elsewhere just now", code="giftcard_empty")
    if present is None:
        present = WalletHold(
            id=new_id("wal"),
            tenant_id=session.tenant_id,
            mode=session.mode,
            checkout_id=session.id,
            kind=GIFT_CARD if isinstance(row, GiftCard) else STORE_CREDIT,
            instrument_id=row.id,
            label=label,
            amount=change,
            currency=row.currency,
            status=str(_S.HELD),
        )
        insert_now(db, present)  # nothing else is flushed, so that the edit stays one version
        present.journal_birth(db, cause=str(actor.kind))
    elif change:
        present.advance(_T.CHANGED, cause=str(actor.kind), amount=present.amount + change)
    session.wallet_applied += change
    return present


def _refresh(db: Session, actor: Actor, session: CheckoutSession) -> None:
    if session.totals_stale:
        totals.calculate(db, session, actor.tenant)


def _good_card(db: Session, actor: Actor, session: CheckoutSession, code: str) -> GiftCard:
    found = _find_card(db, actor, code)
    if found is None:
        raise _invalid("unknown", "This gift card code isn't valid")
    card = wallet.instrument(db, GIFT_CARD, found.id)
    assert isinstance(card, GiftCard)
    if card.blocked_at is not None:
        raise _invalid("blocked", "This gift card isn't valid")
    if card.expires_at is not None and card.expires_at <= clock.now():
        raise _invalid("expired", "This gift card has expired")
    if card.currency != session.currency:
        raise _invalid("currency_mismatch", f"This gift card is in {card.currency}")
    return card


def _invalid(detail: str, words: str) -> Unprocessable:
    explain = {"reason": f"giftcard_invalid:{detail}"}
    return Unprocessable(words, code="giftcard_invalid", field="code", explain=explain)


def _find_card(db: Session, actor: Actor, code: str) -> GiftCard | None:
    """The card with this code as typed, else in capitals."""
    typed = code.strip()
    found = {card.code: card for card in db.scalars(_named(actor, [typed]))}
    return found.get(typed) or found.get(typed.upper())


def _named(actor: Actor, codes: Iterable[str]) -> Select[GiftCard]:
    typed = {code.strip() for code in codes}
    return select(GiftCard).where(
        GiftCard.tenant_id == actor.tenant_id,
        GiftCard.mode == actor.mode,
        GiftCard.code.in_(typed | {code.upper() for code in typed}),
    )


def _present(db: Session, session: CheckoutSession, instrument_id: str) -> WalletHold | None:
    holds = wallet.held(db, session, lock=True) if session.wallet_applied else []
    return next((hold for hold in holds if hold.instrument_id == instrument_id), None)


def _credit(db: Session, actor: Actor, session: CheckoutSession) -> StoreCredit | None:
    """The customer's credit in the session's currency, locked.

    Raises:
        Unprocessable: `customer_required`.
    """
    if not session.customer.get("customer_id"):
        raise Unprocessable("Store credit belongs to a customer", code="customer_required")
    found = _credit_of(db, actor, session)
    if found is None:
        return None
    row = wallet.instrument(db, STORE_CREDIT, found.id)
    assert isinstance(row, StoreCredit)
    return row


def credits_of(actor: Actor, customer_id: str) -> list[StoreCredit]:
    """What the merchant owes a customer, by currency."""
    statement = select(StoreCredit).where(
        StoreCredit.tenant_id == actor.tenant_id,
        StoreCredit.mode == str(actor.mode),
        StoreCredit.customer_id == customer_id,
    )
    with reading() as db:
        return list(db.scalars(statement.order_by(StoreCredit.currency)))


def _credit_of(db: Session, actor: Actor, session: CheckoutSession) -> StoreCredit | None:
    statement = select(StoreCredit).where(
        StoreCredit.tenant_id == actor.tenant_id,
        StoreCredit.mode == actor.mode,
        StoreCredit.customer_id == session.customer.get("customer_id"),
        StoreCredit.currency == session.currency,
    )
    return db.scalars(statement).one_or_none()


def _applied(db: Session, session: CheckoutSession) -> list[WalletHold]:
    """What is held for a session, or was taken with it, in the order in which it was applied."""
    statement = select(WalletHold).where(
        WalletHold.checkout_id == session.id, WalletHold.status.in_((_S.HELD, _S.TAKEN))
    )
    return list(db.scalars(statement.order_by(WalletHold.id)))


def _cards_of(holds: list[WalletHold]) -> Select[GiftCard]:
    return select(GiftCard).where(GiftCard.id.in_([h.instrument_id for h in holds if h.kind == GIFT_CARD]))
