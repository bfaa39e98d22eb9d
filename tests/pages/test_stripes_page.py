"""The hosted page where cards are Stripe's: typed into its fields or on its page, and never into fields of ours."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app import settings
from app.connectors import registry
from app.db import reading
from app.models.checkout.session import CheckoutSession
from app.models.payments.method import PaymentMethod
from app.services.checkout import subscriptions, tries
from app.services.payments import vault
from tests import accounts
from tests.pages.hosted import CARD
from tests.services.checkout.test_subscriptions import Club
from tests.services.payments.test_stripe_frames import HOUSE, PUBLISHABLE, deploy
from tests.shops import Shop, later
from tests.stripe_standin import StandIn

pytestmark = pytest.mark.usefixtures("holds")

#: No card of the sandbox's.
NUMBER_WRONG = "4242424242424241"
#: The fields of our own card form.
OURS = re.compile(r'name="(card_number|exp_month|exp_year|cvc|card_name)"')
STRIPES = "https://js.stripe.com https://*.js.stripe.com"


@pytest.fixture
def account(standin: StandIn, shop: Shop, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The deployment's account; the sandbox is not there, as in production."""
    monkeypatch.setattr(registry, "_ALL", tuple(c for c in registry._ALL if c.name == "stripe"))
    deploy(mode="redirect")
    return standin.account(HOUSE)


def fields(page: str) -> dict[str, str]:
    """What a form of the page carries, hidden."""
    return dict(re.findall(r'name="(csrf_token|nonce|quote)"[^>]*value="([^"]+)', page))


def policy(answer: Any) -> dict[str, str]:
    """Directive → what it allows."""
    parts = answer.headers["Content-Security-Policy"].split("; ")
    return dict(part.split(" ", 1) for part in parts)


def test_a_card_leads_to_stripes_page_and_back(account: Any, shop: Shop, client: FlaskClient) -> None:
    session = shop.session(method_types=("card", "ideal"))
    answer = client.get(f"/pay/{session.hosted_id}")
    page = answer.get_data(as_text=True)
    assert 'name="method" value="card"' in page
    assert 'name="method" value="ideal"' in page
    assert not OURS.search(page)
    assert "stripe" not in answer.headers["Content-Security-Policy"] + page
    sent = client.post(f"/pay/{session.hosted_id}/method", data={**fields(page), "method": "card"})
    assert sent.status_code == 303
    [there] = [o for o in account.objects.values() if o["object"] == "checkout.session"]
    assert there["url"] in client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    account.pay_session(there["id"])
    back = there["_back"].removeprefix(settings.current().base_url)
    assert client.get(back).status_code == 200
    assert shop.read(session).status == "completed"
    assert shop.left("MUG") == (99, 0, 1)


@pytest.mark.parametrize("key", [HOUSE, "sk_live_of_the_house"])
def test_a_card_is_not_offered_where_it_could_not_be_taken(
    account: Any, shop: Shop, client: FlaskClient, key: str
) -> None:
    """A live key takes nothing in test mode; without a publishable key Stripe's page takes cards."""
    deploy(key, publishable="")
    session = shop.session(method_types=("card", "ideal"))
    page = client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    assert not OURS.search(page)
    assert "card-frames" not in page
    for method in ("card", "ideal"):
        assert (f'value="{method}"' in page) == (key == HOUSE)


def test_the_fields_are_stripes(account: Any, shop: Shop, client: FlaskClient) -> None:
    deploy()
    session = shop.session(options={"allow_coupon_code": True})
    url = f"/pay/{session.hosted_id}"
    answer = client.get(url)
    page = answer.get_data(as_text=True)
    assert not OURS.search(page)
    assert 'autocomplete="cc-' not in page
    assert f'data-card-frames="{PUBLISHABLE}" data-currency="gbp"' in page
    assert f'data-amount="{session.grand_total}"' in page
    assert '<script src="https://js.stripe.com/v3/" defer>' in page
    assert policy(answer)["script-src"] == f"'self' {STRIPES}"
    assert policy(answer)["frame-src"] == f"'self' {STRIPES} https://hooks.stripe.com"
    assert policy(answer)["connect-src"] == f"'self' {settings.current().stripe_api_base}"
    assert policy(answer)["form-action"] == "'self'"
    missing = client.post(f"{url}/card", data={**fields(page), "email": "no address"})
    assert missing.status_code == 422
    words = missing.get_data(as_text=True)
    assert '<a href="#card_token">' not in words
    assert '<a href="#card">Enter your card again</a>' in words
    assert "Enter an e-mail address like" in words
    token = account.confirmation_token("pm_card_authenticationRequiredSdk")
    asked = client.post(f"{url}/card", data={**fields(page), "card_token": token, "email": "a@b.example"})
    assert asked.status_code == 303
    [there] = [o for o in account.objects.values() if o["object"] == "payment_intent"]
    action = client.get(url)
    assert f'data-client-secret="{there["client_secret"]}"' in action.get_data(as_text=True)
    assert policy(action)["frame-src"] == policy(answer)["frame-src"]
    account.authenticate(there["id"], ok=True)
    back = re.search(r'data-back="([^"]+)"', action.get_data(as_text=True))
    assert back is not None
    assert client.get(back[1]).status_code == 200
    receipt = client.get(url)
    assert "Payment received" in receipt.get_data(as_text=True)
    assert "stripe" not in receipt.headers["Content-Security-Policy"]
    assert shop.read(session).customer["email"] == "a@b.example"


@pytest.mark.parametrize("mode", ["elements", "redirect"])
def test_a_card_number_is_refused_and_kept_nowhere(
    standin: StandIn, shop: Shop, client: FlaskClient, mode: str
) -> None:
    """Also where the sandbox is there, which would take it: the payment would be Stripe's."""
    deploy(mode=mode)
    session = shop.session()
    url = f"/pay/{session.hosted_id}"
    page = client.get(url).get_data(as_text=True)
    token = standin.account(HOUSE).confirmation_token()
    for typed in (CARD, {**CARD, "card_token": token}, {"email": CARD["card_number"], "card_token": token}):
        answer = client.post(f"{url}/card", data={**fields(page), **typed})
        assert answer.status_code == 422
        words = answer.get_data(as_text=True)
        assert "This page takes no card numbers itself" in words
        assert "4242" not in words
    assert client.get(f"{url}?lang=de").status_code == 200
    german = client.post(f"{url}/card", data={**fields(page), **CARD}).get_data(as_text=True)
    assert "This page takes no card numbers itself" not in german
    assert shop.read(session).payment_intent_id is None
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(PaymentMethod)) == 0
    assert standin.requests == []


@pytest.mark.parametrize("first", ["frames", "form"])
def test_whose_fields_a_page_shows_may_change_while_it_is_sent(
    standin: StandIn, shop: Shop, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """The page comes back with the other fields, and what is wrong leads to them; the address is kept."""
    deploy()
    if first == "form":
        accounts.account(shop.actor, 10)
    session = shop.session()
    url = f"/pay/{session.hosted_id}"
    page = client.get(url).get_data(as_text=True)
    assert bool(OURS.search(page)) == (first == "form")
    asked = vault.redeem_framed if first == "frames" else vault.tokenize

    def meanwhile(*args: Any, **named: Any) -> Any:
        """The merchant's routing changes while the shopper's card is looked at."""
        if first == "frames":
            accounts.account(shop.actor, 5)
        else:
            own = {"secret_key": HOUSE, "publishable_key": PUBLISHABLE, "integration": "elements"}
            accounts.account(shop.actor, 5, type_="stripe", **own)
        return asked(*args, **named)

    monkeypatch.setattr(vault, asked.__name__, meanwhile)
    typed = {"card_token": "ctoken_unknown"} if first == "frames" else {**CARD, "card_number": NUMBER_WRONG}
    answer = client.post(f"{url}/card", data={**fields(page), **typed, "email": "ann@example.com"})
    words = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert bool(OURS.search(words)) == (first == "frames")
    assert 'value="ann@example.com"' in words
    assert f'value="{NUMBER_WRONG}' not in words
    [link] = re.findall(r'<a href="#(\w+)">', words)
    assert link == ("card_number" if first == "frames" else "card")
    assert f'id="{link}"' in words
    assert shop.read(session).payment_intent_id is None


def test_card_tokens_are_not_found_by_trying(
    account: Any, standin: StandIn, shop: Shop, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs a question to the gateway; who is over the limit asks it nothing."""
    deploy()
    monkeypatch.setitem(tries.PER_SESSION, tries.CARD_TOKEN, 2)
    monkeypatch.setitem(tries.PER_ADDRESS, tries.CARD_TOKEN, 3)

    def send(session: CheckoutSession, token: str) -> Any:
        url = f"/pay/{session.hosted_id}"
        page = client.get(url).get_data(as_text=True)
        return client.post(f"{url}/card", data={**fields(page), "card_token": token})

    tried, other, third = shop.session(), shop.session(), shop.session()
    assert [send(tried, f"ctoken_guess{n}").status_code for n in range(2)] == [422, 422]
    refused = send(tried, account.confirmation_token())
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 600
    assert "Too many tries. Wait a moment" in refused.get_data(as_text=True)
    assert len(standin.sent("GET /v1/confirmation_tokens/.*")) == 2
    assert send(other, account.confirmation_token()).status_code == 303
    assert shop.read(other).status == "completed"
    assert send(third, account.confirmation_token()).status_code == 429, "so many came from this address"
    with later(601):
        assert send(tried, account.confirmation_token()).status_code == 303
    assert shop.read(tried).status == "completed"


def test_what_renews_is_sold_by_stripes_fields_alone(account: Any, shop: Shop, client: FlaskClient) -> None:
    """Consent is given on our page; Stripe's page would sell it once, and nothing would renew."""
    session = Club(shop).session()
    url = f"/pay/{session.hosted_id}"
    assert 'value="card"' not in client.get(url).get_data(as_text=True)
    deploy()
    page = client.get(url).get_data(as_text=True)
    assert 'value="card"' not in page
    assert 'data-keep="1"' in page
    assert "The card form by Stripe didn't load" in page, "shown where it did not"
    token = account.confirmation_token(amount=900, currency="gbp", setup_future_usage="off_session")
    typed = {**fields(page), "card_token": token}
    refused = client.post(f"{url}/card", data=typed)
    assert (refused.status_code, "Agree to the renewals" in refused.get_data(as_text=True)) == (422, True)
    assert client.post(f"{url}/card", data={**typed, "consent": "1"}).status_code == 303
    assert shop.read(session).status == "completed"
    assert len(subscriptions.list_page(shop.actor).data) == 1
