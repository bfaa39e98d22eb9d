"""Weeks of trade for the demo merchant: visits that are paid, declined, abandoned, refunded and disputed.

Each goes through the services that a shopper's or a merchant's own click goes through, under a clock that
is moved to its moment, so that every invariant holds and nothing tells it from the real thing.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from sqlalchemy import select, update

from app.connectors.base import CardDetails
from app.connectors.sandbox import book, challenges
from app.db import reading, transaction
from app.domain.actor import Actor, system_actor
from app.domain.errors import DomainError
from app.kit import clock
from app.models.access.tenant import Tenant
from app.models.checkout.session import CheckoutSession
from app.models.payments.dispute import Dispute
from app.providers.base import CartLine, CartSnapshot
from app.services.checkout import demo_goods as goods
from app.services.checkout import links, payment, payments, sessions, support_notes
from app.services.checkout.drafts import SessionDraft
from app.services.checkout.link_terms import LinkDraft
from app.services.checkout.payment import Order
from app.services.events import audit, webhooks
from app.services.operations import day_figures
from app.services.payments import attempts, dispute_evidence, disputes, intents, methods, refunds

MODE = "test"
WEEKS = 8
#: Shares of a day's visits by hour, and of a week's by day: evenings and week-ends are busy.
_HOURS = (1, 1, 1, 1, 1, 1, 2, 4, 6, 7, 8, 9, 10, 9, 8, 8, 8, 9, 11, 13, 14, 12, 7, 3)
_DAYS = (8, 8, 9, 10, 12, 14, 11)
#: An endpoint that nobody answers (RFC 6761), so that there is something to look at.
_NOBODY = "https://hooks.demo-shop.invalid/till"
#: The endpoint hears of the last visits only: a worker would be busy for long with thousands of failures.
_TOLD = 25

T = TypeVar("T")


def grow(tenant: Tenant, visits: int, tell: Callable[[int], object] = lambda _: None) -> None:
    """Let so many visits happen over the last `WEEKS` weeks; `tell` is called with each one's number."""
    now = clock.now()
    actor = system_actor(tenant.profile(MODE), MODE, "Demo")
    trade = _Trade(actor, random.Random(f"{tenant.id}{now:%Y%m%d%H%M%S}"), now)
    with clock.frozen(now - timedelta(weeks=WEEKS)):
        trade.make_links()
    kinds = _kinds(trade.chance, visits)
    for number, at in enumerate(_moments(trade.chance, visits, now), start=1):
        if number == visits - _TOLD:
            _settle_down(actor)
        trade.catch_up(at)
        trade.visit(at, number, kinds[number - 1])
        tell(number)
    trade.catch_up(now)
    _keep_the_days(actor)


class _Trade:
    """What goes on in the shop: visits, and what is to follow them later, in the order of time."""

    def __init__(self, actor: Actor, chance: random.Random, now: datetime) -> None:
        self.actor, self.chance, self._now = actor, chance, now
        self._later: list[tuple[datetime, int, Callable[[], None]]] = []
        self._links: list[str] = []
        self._swept = now - timedelta(weeks=WEEKS)

    def make_links(self) -> None:
        """The links that some come by."""
        for title, amount, reference in goods.LINKS:
            draft = LinkDraft(
                title=title,
                currency="GBP",
                amount=amount,
                min_amount=None if amount else 500,
                reference=reference,
            )
            self._links.append(links.create(self.actor, draft).slug)

    def catch_up(self, until: datetime) -> None:
        """Let happen what is due by then; checkouts expire once an hour."""
        while self._later and self._later[0][0] <= until:
            at, _, work = heapq.heappop(self._later)
            with clock.frozen(at):
                work()
        if until - self._swept >= timedelta(hours=1):
            self._swept = until
            with clock.frozen(until):
                while sessions.expire_due():
                    pass
                disputes.sweep()

    def visit(self, at: datetime, number: int, kind: str) -> None:
        """Somebody comes by."""
        with clock.frozen(at):
            try:
                getattr(self, f"_{kind}")(at, f"demo-{number}")
            except DomainError:  # a rule of the merchant's own forbids it, as it would anybody
                return

    def _paid(self, at: datetime, nonce: str) -> None:
        self._after_payment(at, self._pay(self._session(), self._one_of(goods.GOOD_CARDS), nonce))

    def _abandoned(self, _at: datetime, _nonce: str) -> None:
        self._session()

    def _declined(self, _at: datetime, nonce: str) -> None:
        self._pay(self._session(), self._one_of(goods.DECLINED_CARDS), nonce)

    def _declined_then_paid(self, at: datetime, nonce: str) -> None:
        session = self._pay(self._session(), self._one_of(goods.DECLINED_CARDS), nonce)
        with clock.frozen(at + timedelta(seconds=70)):
            paid = self._pay(session, self._one_of(goods.GOOD_CARDS), f"{nonce}-again")
        self._after_payment(at, paid)

    def _challenged(self, at: datetime, nonce: str) -> None:
        session = self._pay(self._session(), goods.CHALLENGED_CARD, nonce)
        self._answer(session, at, approve=True)

    def _challenge_failed(self, at: datetime, nonce: str) -> None:
        session = self._pay(self._session(), goods.CHALLENGED_CARD, nonce)
        self._answer(session, at, approve=False)

    def _redirected(self, at: datetime, nonce: str) -> None:
        method = self._one_of(goods.REDIRECTS)
        session = self._session("EUR" if method == "ideal" else None, methods=("card", method))
        self._answer(payment.pay_by_redirect(self.actor, session.id, method, Order(nonce)), at, approve=True)

    def _linked(self, at: datetime, nonce: str) -> None:
        slug = self.chance.choice(self._links)
        link, _ = links.by_slug(slug)
        amount = None if link.amount else self.chance.choice((500, 1000, 2500, 5000))
        session = links.pay(slug, amount=amount, email=self._customer()["email"])
        self._after_payment(at, self._pay(session, self._one_of(goods.GOOD_CARDS), nonce))

    def _held(self, at: datetime, nonce: str) -> None:
        """A payment without a checkout that is authorised first; later it is captured, canceled, or left."""
        method = methods.tokenize_card(self.actor, _card(self._one_of(goods.GOOD_CARDS)))
        amount = self.chance.randrange(2_000, 40_000, 50)
        made = intents.create(
            self.actor,
            intents.IntentDraft(
                amount,
                "GBP",
                capture_mode="manual",
                payment_method_id=method.id,
                description=f"Studio order {self.chance.randrange(1000, 9999)}",
            ),
        )
        intents.confirm(self.actor, made.id, nonce=nonce)
        fate = self.chance.random()
        part = round(amount * 0.8) if fate < 0.2 else None
        if fate < 0.6:
            self._plan(at, 2, partial(payments.capture, self.actor, made.id, part))
        elif fate < 0.8:
            self._plan(at, 3, partial(payments.cancel, self.actor, made.id, "user_cancel"))

    def _disputed(self, at: datetime, nonce: str) -> None:
        paid = self._pay(self._session(), self._one_of(goods.DISPUTED_CARDS), nonce)
        intent_id = str(paid.payment_intent_id)
        self._plan(at, 1, partial(self._hear_of_dispute, intent_id))

    def _hear_of_dispute(self, intent_id: str) -> None:
        """The bank tells; some are answered, well or not, some given up, the latest still wait."""
        charge = attempts.of_intent(self.actor, intent_id)[-1]
        told = select(book.disputes.c.reference).where(
            book.disputes.c.payment_reference == charge.gateway_reference
        )
        with reading() as db:
            reference = db.scalar(told)
        if reference is None:
            return
        disputes.look_again(charge.id, reference)
        with reading() as db:
            row = db.scalars(select(Dispute).where(Dispute.gateway_reference == reference)).one()
        fate, at = self.chance.random(), clock.now()
        if fate < 0.65:
            word = "winning_evidence" if fate < 0.5 else "losing_evidence"
            text = f"The parcel was signed for; tracking is attached. {word}"
            self._plan(at, 3, partial(dispute_evidence.submit, self.actor, row.id, (), text))
        elif fate < 0.75:
            self._plan(at, 4, partial(disputes.give_in, row.id, self.actor))

    def _answer(self, session: CheckoutSession, at: datetime, *, approve: bool) -> None:
        """What the shopper does at the bank, a minute later."""
        intent_id = session.payment_intent_id
        waiting = attempts.newest(self.actor, intent_id) if intent_id else None
        if waiting is None or not waiting.action or "url" not in waiting.action:
            return
        with clock.frozen(at + timedelta(seconds=55)):
            challenges.decide(str(waiting.action["url"]).rsplit("/", 1)[1], approve=approve)
            payment.resume(waiting.return_nonce)
            if approve:
                self._after_payment(at, sessions.get(self.actor, session.id))

    def _after_payment(self, at: datetime, session: CheckoutSession) -> None:
        """Some want their money back, and some are written about."""
        intent_id = session.payment_intent_id
        if intent_id is None or session.status != "completed":
            return
        if self.chance.random() * 100 < goods.REFUNDED:
            self._plan(at, self.chance.randrange(1, 10), partial(self._refund, intent_id))
        elif self.chance.random() < 0.01:
            words = self.chance.choice(goods.NOTES)
            self._plan(at, 1, partial(support_notes.add_to_payment, self.actor, intent_id, words))

    def _refund(self, intent_id: str) -> None:
        left = refunds.left_to_refund(intents.get(self.actor, intent_id))
        full = self.chance.random() * 100 < goods.IN_FULL
        amount = None if full else max(1, round(left * self.chance.choice((0.2, 0.25, 0.5))))
        made = refunds.create(self.actor, intent_id, amount, self._one_of(goods.REFUND_REASONS))
        refunds.send(made.id)

    def _pay(self, session: CheckoutSession, number: str, nonce: str) -> CheckoutSession:
        return payment.pay_by_card(self.actor, session.id, _card(number), Order(nonce))

    def _session(self, currency: str | None = None, methods: tuple[str, ...] = ("card",)) -> CheckoutSession:
        chosen = self.chance.sample(goods.GOODS, self.chance.choice((1, 1, 1, 2, 2, 3)))
        lines = tuple(
            CartLine(f"line_{place}", sku, name, self.chance.choice((1, 1, 1, 2)), price)
            for place, (sku, name, price) in enumerate(chosen, start=1)
        )
        customer = self._customer()
        known = self.chance.random() < 0.4
        owner = ("user", "cust_" + customer["email"].partition("@")[0].replace(".", "_")) if known else None
        draft = SessionDraft(
            surface="checkout",
            cart=CartSnapshot(currency or self._one_of(goods.CURRENCIES), lines),
            owner=owner,
            customer=customer,
            title=" and ".join(line.name for line in lines[:2]),
            reference=f"WEB-{self.chance.randrange(10_000, 99_999)}",
            hosted=True,
            method_types=methods,
        )
        return sessions.create(self.actor, draft)

    def _customer(self) -> dict[str, str]:
        first, last = self.chance.choice(goods.FIRST_NAMES), self.chance.choice(goods.LAST_NAMES)
        return {"name": f"{first} {last}", "email": f"{first}.{last}@example.com".lower()}

    def _one_of(self, shares: Mapping[T, int]) -> T:
        return self.chance.choices(list(shares), list(shares.values()))[0]

    def _plan(self, at: datetime, days: int, work: Callable[[], object]) -> None:
        """Let something happen some days later, if that is before now; a refusal then changes nothing."""
        due = at + timedelta(days=days, minutes=self.chance.randrange(1, 600))
        if due < self._now:
            step: Callable[[], None] = partial(_leniently, work)
            heapq.heappush(self._later, (due, self.chance.getrandbits(60), step))


def _leniently(work: Callable[[], object]) -> None:
    try:
        work()
    except DomainError:
        return


def _card(number: str) -> CardDetails:
    return CardDetails(number, 12, clock.now().year + 3, "123")


def _kinds(chance: random.Random, count: int) -> list[str]:
    """What becomes of so many visits, in their shares: each kind comes at least once where there is room."""
    whole = sum(goods.VISITS.values())
    found = [kind for kind, share in goods.VISITS.items() for _ in range(max(1, count * share // whole))]
    found += chance.choices(list(goods.VISITS), list(goods.VISITS.values()), k=max(0, count - len(found)))
    chance.shuffle(found)
    return found[:count]


def _moments(chance: random.Random, count: int, now: datetime) -> list[datetime]:
    """When they come: more of them lately, in the evening, and towards the week-end."""
    start = (now - timedelta(weeks=WEEKS)).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [start + timedelta(days=n) for n in range(WEEKS * 7 + 1)]
    weights = [_DAYS[day.weekday()] * (1 + n / len(days)) for n, day in enumerate(days)]
    hours = range(24)
    found: list[datetime] = []
    while len(found) < count:
        day, hour = chance.choices(days, weights)[0], chance.choices(hours, _HOURS)[0]
        at = day + timedelta(hours=hour, seconds=chance.uniform(0, 3599))
        if start < at < now - timedelta(minutes=5):
            found.append(at)
    return sorted(found)


def _settle_down(actor: Actor) -> None:
    """Seal what has happened so far, and add an endpoint that hears only of what is still to come."""
    while audit.seal():
        pass
    if not any(endpoint.url == _NOBODY for endpoint in webhooks.list_all(actor)):
        webhooks.create(actor, _NOBODY, ["payment.succeeded", "payment.failed"], description="Demo")


def _keep_the_days(actor: Actor) -> None:
    """Count the days, which are past already; the bank's own notices tell nothing new and are not sent."""
    hooks = book.webhooks.c
    read = update(book.webhooks).where(
        hooks.tenant_id == actor.tenant_id, hooks.sent_at.is_(None), hooks.due_at <= clock.now()
    )
    with transaction() as db:
        db.execute(read.values(sent_at=clock.now()))
    day_figures.forget(actor.tenant_id, MODE)
    while day_figures.keep_days():
        pass
