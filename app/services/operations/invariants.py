"""What must hold after every run (reliability.md): one function for tests, fault tests and `flask doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from app.connectors.sandbox import book as sandbox
from app.db import reading
from app.domain.lifecycles import attempts as attempt_lifecycle
from app.domain.lifecycles import disputes as dispute_lifecycle
from app.domain.lifecycles.registry import ALL
from app.models.catalogue.credit_note import CreditNote
from app.models.catalogue.promotion import Coupon
from app.models.catalogue.stock import StockItem
from app.models.checkout.finalization import Finalization
from app.models.checkout.order import Order
from app.models.checkout.payment_link import PaymentLink
from app.models.checkout.reservation import Reservation
from app.models.checkout.session import CheckoutSession
from app.models.checkout.subscription import Subscription, SubscriptionPeriod
from app.models.checkout.wallet_hold import WalletHold
from app.models.events.journal import JournalEntry
from app.models.ledger.posting import LedgerTransaction, Posting
from app.models.operations.job import Job
from app.models.payments.attempt import Attempt
from app.models.payments.connector import ConnectorAccount
from app.models.payments.dispute import Dispute
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.models.payments.refund import Refund
from app.models.payments.verification import MethodVerification
from app.models.risk.kyc import KycRequest
from app.models.risk.review import Review
from app.models.treasury.payout import Payout
from app.models.treasury.settlement import Settlement
from app.providers.remote.billing import NOTE as ELSEWHERE
from app.providers.remote.questions import TELL
from app.services.operations import (
    checkout_invariants,
    split_invariants,
    treasury_invariants,
    wallet_invariants,
)
from app.services.operations.violations import Violation


def check() -> list[Violation]:
    """Every violation in the database."""
    with reading() as db:
        return [found for rule in _RULES for found in rule(db)]


def _ledger_balances(db: Session) -> Iterator[Violation]:
    total = func.sum(Posting.amount)
    statement = select(Posting.transaction_id, Posting.currency, total).group_by(
        Posting.transaction_id, Posting.currency
    )
    for transaction_id, currency, amount in db.execute(statement.having(total != 0)):
        yield Violation("ledger_balances", transaction_id, f"{amount} {currency}")


def _captures_are_posted(db: Session) -> Iterator[Violation]:
    """What the ledger says was captured is what the intent says, once it has succeeded."""
    posted = (
        select(LedgerTransaction.payment_intent_id, func.sum(Posting.amount).label("amount"))
        .join(Posting, Posting.transaction_id == LedgerTransaction.id)
        .where(LedgerTransaction.kind == "capture", Posting.amount > 0)
        .group_by(LedgerTransaction.payment_intent_id)
        .subquery()
    )
    statement = (
        select(PaymentIntent.id, PaymentIntent.amount_captured, func.coalesce(posted.c.amount, 0))
        .outerjoin(posted, posted.c.payment_intent_id == PaymentIntent.id)
        .where(
            PaymentIntent.status == "succeeded",
            PaymentIntent.split.is_(False),
            PaymentIntent.amount_captured != func.coalesce(posted.c.amount, 0),
        )
    )
    for intent_id, captured, amount in db.execute(statement):
        yield Violation("captures_are_posted", intent_id, f"captured {captured}, posted {amount}")


def _sandbox_agrees(db: Session) -> Iterator[Violation]:
    """Our captures and refunds are those of the sandbox's own book, which the payment code never reads."""
    book = sandbox.payments.c
    ours = (
        select(Attempt.id, Attempt.status, Attempt.amount_captured, book.captured)
        .outerjoin(sandbox.payments, book.reference == Attempt.gateway_reference)
        .where(Attempt.connector == "sandbox", Attempt.status == "captured")
        .where(func.coalesce(book.captured, -1) != Attempt.amount_captured)
        # a person may know of a transfer before the bank tells
        .where(Attempt.confirmed_by.is_(None) | (book.captured != 0))
    )
    for attempt_id, _, captured, there in db.execute(ours):
        yield Violation("sandbox_agrees", attempt_id, f"captured {captured}, the gateway says {there}")
    held = (
        select(Attempt.id, Attempt.status, book.status)
        .join(sandbox.payments, book.reference == Attempt.gateway_reference)
        .where(Attempt.status.in_(attempt_lifecycle.DEAD), book.captured > book.refunded)
    )
    for attempt_id, status, there in db.execute(held):
        yield Violation("sandbox_agrees", attempt_id, f"{status} here and {there} at the gateway")
    sent = func.sum(Refund.amount)
    back = (
        select(Refund.attempt_id, sent, book.refunded)
        .join(Attempt, Attempt.id == Refund.attempt_id)
        .join(sandbox.payments, book.reference == Attempt.gateway_reference)
        .where(Refund.status == "succeeded", Refund.refund_method == "original_payment_method")
        .group_by(Refund.attempt_id, book.refunded)
        .having(sent > book.refunded)
    )
    for attempt_id, amount, there in db.execute(back):
        yield Violation("sandbox_agrees", attempt_id, f"refunded {amount}, the gateway says {there}")


def _sums_hold(db: Session) -> Iterator[Violation]:
    over = (PaymentIntent.amount_captured > PaymentIntent.amount_authorized) | (
        PaymentIntent.amount_refunding + PaymentIntent.amount_disputed > PaymentIntent.amount_captured
    )
    for intent_id in db.scalars(select(PaymentIntent.id).where(over)):
        yield Violation("sums_hold", intent_id, "captured or refunded too much")
    reserved = func.sum(Refund.amount)
    statement = (
        select(PaymentIntent.id, PaymentIntent.amount_refunding, func.coalesce(reserved, 0))
        .outerjoin(Refund, (Refund.intent_id == PaymentIntent.id) & (Refund.status != "failed"))
        .where(PaymentIntent.split.is_(False))
        .group_by(PaymentIntent.id, PaymentIntent.amount_refunding)
        .having(PaymentIntent.amount_refunding != func.coalesce(reserved, 0))
    )
    for intent_id, kept, summed in db.execute(statement):
        yield Violation("sums_hold", intent_id, f"refunds reserve {kept}, their sum is {summed}")


def _disputes_hold(db: Session) -> Iterator[Violation]:
    """What disputes reserve is what their intents say, and what the ledger holds is what is undecided."""
    reserved = func.coalesce(func.sum(Dispute.amount_reserved), 0)
    statement = (
        select(PaymentIntent.id, PaymentIntent.amount_disputed, reserved)
        .outerjoin(Dispute, Dispute.intent_id == PaymentIntent.id)
        .where(PaymentIntent.split.is_(False))
        .group_by(PaymentIntent.id, PaymentIntent.amount_disputed)
        .having(PaymentIntent.amount_disputed != reserved)
    )
    for intent_id, kept, summed in db.execute(statement):
        yield Violation("disputes_hold", intent_id, f"disputes reserve {kept}, their sum is {summed}")
    undecided = Dispute.status.in_(
        (dispute_lifecycle.Status.NEEDS_RESPONSE, dispute_lifecycle.Status.UNDER_REVIEW)
    )
    contested = (
        select(LedgerTransaction.payment_intent_id, func.sum(Posting.amount).label("amount"))
        .join(Posting, Posting.transaction_id == LedgerTransaction.id)
        .where(Posting.account.startswith("disputes:"))
        .group_by(LedgerTransaction.payment_intent_id)
        .subquery()
    )
    open_ = func.sum(case((undecided, Dispute.amount), else_=0))
    held = func.coalesce(contested.c.amount, 0)
    ledger = (
        select(Dispute.intent_id, open_, held)
        .outerjoin(contested, contested.c.payment_intent_id == Dispute.intent_id)
        .group_by(Dispute.intent_id, contested.c.amount)
        .having(open_ != held)
    )
    for intent_id, amount, posted in db.execute(ledger):
        yield Violation("disputes_hold", intent_id, f"{amount} in dispute, the ledger holds {posted}")
    left = PaymentIntent.amount_captured - PaymentIntent.amount_refunding - PaymentIntent.amount_disputed
    short = (
        select(Dispute.id, left)
        .join(PaymentIntent, PaymentIntent.id == Dispute.intent_id)
        .where(Dispute.opened_at.is_not(None), Dispute.outcome.is_distinct_from("won"))
        .where(Dispute.amount_reserved < Dispute.amount, left > 0)
    )
    for dispute_id, free in db.execute(short):
        yield Violation(
            "disputes_hold", dispute_id, f"not all of it is reserved, and {free} could be refunded"
        )


def _sandbox_disputes_agree(db: Session) -> Iterator[Violation]:
    """Our disputes are those of the sandbox's own book, and none is decided otherwise than there."""
    book = sandbox.disputes.c
    told = Dispute.gateway_reference.is_not(None) & (Dispute.connector == "sandbox")
    statement = (
        select(Dispute.id, Dispute.outcome, book.status)
        .outerjoin(sandbox.disputes, book.reference == Dispute.gateway_reference)
        .where(told)
        .where((func.coalesce(book.amount, -1) != Dispute.amount) | (Dispute.outcome != book.status))
    )
    for dispute_id, outcome, there in db.execute(statement):
        yield Violation("sandbox_disputes_agree", dispute_id, f"{outcome} here, {there} at the gateway")


def _credit_notes_match(db: Session) -> Iterator[Violation]:
    """Each refund that stands and each lost dispute has its one credit note, and no other has one."""
    causes = (
        (Refund, "refund:", Refund.status == "succeeded"),
        (Dispute, "dispute:", Dispute.outcome == "lost"),
    )
    for model, prefix, stands in causes:
        note = (CreditNote.source == prefix + model.id) & CreditNote.voided_at.is_(None)
        statement = select(model.id, model.amount, CreditNote.amount).outerjoin(CreditNote, note)
        kept_here = ~func.coalesce(model.credit_note_id, "").startswith(f"{ELSEWHERE}_")
        wrong = stands & kept_here & (func.coalesce(CreditNote.amount, 0) != model.amount)
        needless = ~func.coalesce(stands, False) & CreditNote.id.is_not(None)
        for cause_id, amount, credited in db.execute(statement.where(wrong | needless)):
            yield Violation("credit_notes_match", cause_id, f"{amount} to credit, credited {credited}")


def _one_charge_per_intent(db: Session) -> Iterator[Violation]:
    statement = (
        select(Attempt.intent_id, func.count())
        .where(Attempt.status.not_in(attempt_lifecycle.DEAD))
        .group_by(Attempt.intent_id)
        .having(func.count() > 1)
    )
    for intent_id, count in db.execute(statement):
        yield Violation("one_charge_per_intent", intent_id, f"{count} live attempts")


def _stock_holds(db: Session) -> Iterator[Violation]:
    held: dict[tuple[str, str, str, str], int] = {}
    statement = select(Reservation).where(Reservation.status == "active")
    for reservation in db.scalars(statement):
        if "inventory" in (reservation.held_by or {}):
            continue  # a system of the merchant's own holds it
        for line in reservation.lines:
            key = (reservation.tenant_id, reservation.mode, line["sku"], line["location"])
            held[key] = held.get(key, 0) + line["reserved_qty"]
    for item in db.scalars(select(StockItem)):
        key = (item.tenant_id, item.mode, item.sku, item.location)
        if item.held != held.get(key, 0) or item.held > item.on_hand:
            yield Violation("stock_holds", item.sku, f"{item.held} held, {held.get(key, 0)} reserved")


def _coupon_holds(db: Session) -> Iterator[Violation]:
    held: dict[tuple[str, str, str], int] = {}
    for reservation in db.scalars(select(Reservation).where(Reservation.status == "active")):
        if "promotions" in (reservation.held_by or {}):
            continue
        for code in reservation.coupons:
            key = (reservation.tenant_id, reservation.mode, code)
            held[key] = held.get(key, 0) + 1
    promised_to_orders = (
        select(Order.tenant_id, Order.mode, Order.discount_code, func.count())
        .where(Order.code_held)
        .group_by(Order.tenant_id, Order.mode, Order.discount_code)
    )
    for tenant_id, mode, of_order, count in db.execute(promised_to_orders):
        key = (tenant_id, mode, str(of_order))
        held[key] = held.get(key, 0) + count
    for coupon in db.scalars(select(Coupon)):
        promised = held.get((coupon.tenant_id, coupon.mode, coupon.code), 0)
        if coupon.held != promised:
            yield Violation("coupon_holds", coupon.code, f"{coupon.held} held, {promised} promised")


def _providers_are_told(db: Session) -> Iterator[Violation]:
    """No system of a merchant's own has been given up on: it holds or sells something else than we do."""
    dead = select(Job.id, Job.arguments).where(Job.name == TELL, Job.status == "dead")
    for job_id, told in db.execute(dead):
        what = f"{told['provider']} was not told to {told['operation']}"
        yield Violation("providers_are_told", job_id, what)


def _link_holds(db: Session) -> Iterator[Violation]:
    live = ("created", "collecting", "reserved", "payment_processing")
    statement = (
        select(PaymentLink.id, PaymentLink.held, func.count(CheckoutSession.id))
        .outerjoin(
            CheckoutSession,
            (CheckoutSession.payment_link_id == PaymentLink.id) & CheckoutSession.status.in_(live),
        )
        .group_by(PaymentLink.id, PaymentLink.held)
        .having(PaymentLink.held != func.count(CheckoutSession.id))
    )
    for link_id, held, sessions in db.execute(statement):
        yield Violation("link_holds", link_id, f"{held} held, {sessions} sessions are open")


def _transitions_were_legal(db: Session) -> Iterator[Violation]:
    statement = select(
        JournalEntry.id,
        JournalEntry.entity,
        JournalEntry.from_status,
        JournalEntry.trigger,
        JournalEntry.to_status,
    ).where(JournalEntry.trigger.is_not(None), JournalEntry.from_status.is_not(None))
    for entry_id, entity, source, trigger, target in db.execute(statement):
        assert source is not None
        assert trigger is not None
        lifecycle = ALL.get(entity)
        if lifecycle is None or not lifecycle.allows(source, trigger):
            yield Violation("transitions_were_legal", entry_id, f"{entity}: {source} {trigger}")
        elif str(lifecycle.edge(source, trigger).target) != target:
            yield Violation("transitions_were_legal", entry_id, f"{entity}: {source} → {target}")


def _statuses_are_told(db: Session) -> Iterator[Violation]:
    """The last journalled status of an entity is the one that it has."""
    entities = (
        PaymentIntent,
        Attempt,
        Refund,
        Dispute,
        PaymentMethod,
        MethodVerification,
        CheckoutSession,
        Finalization,
        Reservation,
        Order,
        ConnectorAccount,
        Settlement,
        Payout,
        WalletHold,
        Review,
        KycRequest,
        Subscription,
        SubscriptionPeriod,
    )
    for model in entities:
        last = (
            select(JournalEntry.entity_id, func.max(JournalEntry.id).label("last"))
            .where(JournalEntry.entity == model.lifecycle.name, JournalEntry.to_status.is_not(None))
            .group_by(JournalEntry.entity_id)
            .subquery()
        )
        statement = (
            select(model.id, model.status, JournalEntry.to_status)
            .join(last, last.c.entity_id == model.id)
            .join(JournalEntry, JournalEntry.id == last.c.last)
            .where(JournalEntry.to_status != model.status)
        )
        for entity_id, status, told in db.execute(statement):
            yield Violation("statuses_are_told", entity_id, f"is {status}, the journal says {told}")


_RULES: tuple[Callable[[Session], Iterator[Violation]], ...] = (
    _ledger_balances,
    _captures_are_posted,
    _sandbox_agrees,
    _sums_hold,
    _disputes_hold,
    _sandbox_disputes_agree,
    _credit_notes_match,
    _one_charge_per_intent,
    *checkout_invariants.RULES,
    _stock_holds,
    _coupon_holds,
    _providers_are_told,
    _link_holds,
    _transitions_were_legal,
    _statuses_are_told,
    *treasury_invariants.RULES,
    *wallet_invariants.RULES,
    *split_invariants.RULES,
)
