"""Cards typed into Stripe's fields on our page: one charge whatever happens, and whose fields a page shows."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, select

from app import settings
from app.db import reading
from app.domain.errors import Conflict, DomainError, ServiceUnavailable, Unprocessable
from app.domain.rules.routing import Facts
from app.models.checkout.session import CheckoutSession
from app.models.payments.method import PaymentMethod
from app.services.checkout import payment, renewals, subscriptions
from app.services.events import inbound
from app.services.operations import jobs
from app.services.payments import connectors, offers
from app.worker.queue import run_job
from tests.accounts import account, rule
from tests.services.checkout.test_subscriptions import MONTH, Club
from tests.shops import Shop, later, make
from tests.stripe_standin import StandIn

pytestmark = pytest.mark.usefixtures("holds")

HOUSE, PUBLISHABLE, SECRET = "sk_test_of_the_house", "pk_test_of_the_house", "whsec_of_the_house"
CREATE = "POST /v1/payment_intents"
BANK = "pm_card_authenticationRequiredSdk"


def deploy(key: str = HOUSE, publishable: str = PUBLISHABLE, mode: str = "elements") -> None:
    """Give the deployment a Stripe account."""
    house = {
        **settings.current().model_dump(),
        "stripe_secret_key": key,
        "stripe_publishable_key": publishable,
        "stripe_webhook_secret": SECRET,
        "stripe_mode": mode,
    }
    settings.use(settings.load(**house))


@dataclass
class Page:
    """A shop's page with Stripe's fields."""

    shop: Shop
    standin: StandIn

    @property
    def book(self) -> Any:
        """What Stripe has."""
        return self.standin.account(HOUSE)

    @property
    def made(self) -> list[Any]:
        """PaymentIntents, oldest first."""
        return [o for o in self.book.objects.values() if o["object"] == "payment_intent"]

    def token(self, session: CheckoutSession, sample: str = "pm_card_visa", **more: Any) -> str:
        """What the element makes of a card, for the total that the page shows."""
        total = self.shop.read(session).grand_total
        made: str = self.book.confirmation_token(sample, amount=total, currency="gbp", **more)
        return made

    def pay(self, session: CheckoutSession, token: str, nonce: str = "n1", **order: Any) -> CheckoutSession:
        """Press the button."""
        return payment.pay_framed(self.shop.actor, session.id, token, payment.Order(nonce, **order))

    def back(self, session: CheckoutSession) -> CheckoutSession:
        """What the page does after Stripe's window has closed."""
        payment.resume(self.shop.attempts(session)[-1].return_nonce)
        return self.shop.read(session)

    def hears(self, kind: str, about: Any, event_id: str) -> bool:
        """Stripe sends an event, and the worker looks into it."""
        raw, headers = self.standin.event(kind, about, SECRET, event_id=event_id)
        fresh = inbound.receive(raw, headers)
        for job_id in jobs.due():
            run_job(job_id)
        return fresh


@pytest.fixture
def element(shop: Shop, standin: StandIn) -> Page:
    deploy()
    return Page(shop, standin)


def test_clicks_at_the_same_time_charge_once(element: Page) -> None:
    session = element.shop.session()
    token, said = element.token(session), []

    def click(nonce: str) -> None:
        try:
            element.pay(session, token, nonce)
        except DomainError as refused:
            said.append(refused.code)

    threads = [threading.Thread(target=click, args=(f"n{number % 4}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert element.shop.read(session).status == "completed"
    assert element.shop.left("MUG") == (99, 0, 1)
    [there] = element.made
    assert (there["status"], there["amount_received"]) == ("succeeded", session.grand_total)
    assert len(element.standin.sent(CREATE)) == 1
    assert set(said) <= {"payment_in_progress", "invalid_state", "illegal_transition", "checkout_completed"}
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(PaymentMethod)) == 1
    [method_id] = {attempt.payment_method_id for attempt in element.shop.attempts(session)}
    with reading() as db:
        method = db.get_one(PaymentMethod, method_id)
        assert (method.brand, method.last4, method.token) == ("VISA", "4242", f"page/{token}")


def test_a_total_that_moved_is_never_charged(element: Page) -> None:
    """There is no PaymentIntent before the button: what is charged is what the shopper confirmed."""
    session = element.shop.session()
    with pytest.raises(Conflict) as refused:
        element.pay(session, element.token(session), quote="of another total")
    assert (refused.value.code, element.made) == ("quote_changed", [])
    assert element.shop.left("MUG") == (100, 0, 0)


def test_a_token_of_another_account_pays_nothing(element: Page) -> None:
    session = element.shop.session()
    for token in (
        element.standin.account("sk_test_elsewhere").confirmation_token(),
        "pm_card_visa",
        "made_up",
    ):
        with pytest.raises(Unprocessable) as refused:
            element.pay(session, token)
        assert (refused.value.code, refused.value.field) == ("card_not_read", "card")
    assert (element.made, element.shop.read(session).payment_intent_id) == ([], None)


def test_a_broken_account_beside_a_good_one_costs_nobody_their_card(element: Page) -> None:
    """Whichever is asked first; where one of them could not be asked, nobody is told that their card is bad."""
    standin, broken = element.standin, "sk_test_of_a_broken_account"
    standin.refused_keys.add(broken)
    good = account(element.shop.actor, 20, type_="stripe", secret_key=HOUSE)
    for priority in (10, 30):
        silent = account(element.shop.actor, priority, type_="stripe", secret_key=broken)
        session = element.shop.session()
        with pytest.raises(ServiceUnavailable):
            element.pay(session, "ctoken_unknown")
        assert element.pay(session, element.token(session), "n2").status == "completed"
        assert element.shop.attempts(session)[-1].connector_id == good.id
        connectors.delete(element.shop.actor, silent.id)
    assert [o["status"] for o in element.made] == ["succeeded"] * 2
    with pytest.raises(Unprocessable, match="card") as refused:
        element.pay(element.shop.session(), "ctoken_unknown")
    assert refused.value.code == "card_not_read"


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "answer lost"])
def test_the_bank_asks_and_the_event_is_first(element: Page, lost: bool) -> None:
    if lost:
        element.standin.fail(CREATE, drop="after")
    session = element.shop.session()
    element.pay(session, element.token(session, BANK))
    if lost:
        assert element.shop.attempts(session)[0].status == "unknown"
        with later(40):
            payment.sweep()
    [there] = element.made
    action = element.shop.intent(session).next_action
    assert action is not None
    assert action["challenge"] == {
        "type": "use_stripe_sdk",
        "client_secret": there["client_secret"],
        "publishable_key": PUBLISHABLE,
    }
    assert element.back(session).status == "payment_processing", "coming back proves nothing"
    element.book.authenticate(there["id"], ok=True)
    assert element.hears("payment_intent.amount_capturable_updated", there, "evt_1")
    assert element.shop.read(session).status == "completed"
    assert not element.hears("payment_intent.amount_capturable_updated", there, "evt_1")
    assert element.back(session).status == "completed"
    assert element.hears("payment_intent.succeeded", there, "evt_2")
    assert [o["status"] for o in element.made] == ["succeeded"]
    assert len(element.standin.sent(f"{CREATE}/.*/capture")) == 1
    assert element.shop.left("MUG") == (99, 0, 1)


@pytest.mark.parametrize("comes_back", [True, False])
def test_who_fails_or_walks_away_pays_with_another_card(element: Page, comes_back: bool) -> None:
    session = element.shop.session()
    element.pay(session, element.token(session, BANK))
    if comes_back:
        element.book.authenticate(element.made[0]["id"], ok=False)
        element.back(session)
    else:
        with later(15 * 60 + 30):
            payment.sweep()
    assert element.made[0]["status"] == "canceled", "the secret that the browser knows is good for nothing"
    assert element.shop.read(session).status == "reserved"
    assert element.pay(session, element.token(session), "n2").status == "completed"
    assert [o["status"] for o in element.made] == ["canceled", "succeeded"]
    assert element.shop.left("MUG") == (99, 0, 1)


def test_a_card_that_is_kept_renews(element: Page, holds: None) -> None:
    club = Club(element.shop)
    session = club.session()
    token = element.token(session, setup_future_usage="off_session")
    assert element.pay(session, token, keep_for="cus_of_ours").status == "completed"
    [member] = subscriptions.list_page(element.shop.actor).data
    with later(MONTH):
        renewals.renew_due()
    assert [o["amount_received"] for o in element.made] == [900, 900]
    again = element.standin.sent(CREATE)[1].params
    [kept] = [o for o in element.book.objects.values() if o["object"] == "payment_method"]
    assert (again["payment_method"], again["customer"]) == (kept["id"], kept["customer"])
    assert again["off_session"] == "true"
    assert club.statuses(member.id) == ["paid", "paid"]
    [customer] = element.standin.sent("POST /v1/customers")
    assert customer.params["metadata"]["till_tenant"] == element.shop.actor.tenant_id


def way(shop: Shop, amount: int = 1500) -> str:
    """How a card is taken from a shopper."""
    found = offers.of(shop.actor, ["card"], Facts(amount, "GBP"))
    if found.frames is not None:
        return f"frames {found.frames.card.key} {found.frames.amount}"
    return "form" if found.card_form else "page" if found.methods else "none"


def test_whose_fields_a_page_shows(shop: Shop, standin: StandIn) -> None:
    """Those of the connector that the payment would take."""
    assert way(shop) == "form"
    deploy()
    assert way(shop) == f"frames {PUBLISHABLE} 1500"
    deploy(publishable="pk_live_of_the_house")
    assert way(shop) == "page", "a key of the other mode mounts no fields"
    deploy(mode="redirect")
    assert way(shop) == "page"
    deploy("sk_live_of_the_house", "pk_live_of_the_house")
    assert way(shop) == "form", "a live key takes nothing in test mode"
    own = {"secret_key": "sk_test_of_its_own", "publishable_key": "pk_test_of_its_own"}
    stripe = account(shop.actor, 20, type_="stripe", integration="elements", **own)
    assert way(shop) == "frames pk_test_of_its_own 1500"
    account(shop.actor, 10)
    assert way(shop) == "form"
    rule(shop.actor, stripe, amount_min=5000)
    assert (way(shop, 4999), way(shop, 5000)) == ("form", "frames pk_test_of_its_own 5000")
    assert way(make("Another shop")) == "form"
