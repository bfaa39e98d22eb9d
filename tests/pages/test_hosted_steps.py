"""The hosted page around paying: more time once, leaving, the phone, stored value, forms without a script, the panel."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest
import zxingcpp
from flask.testing import FlaskClient
from PIL import Image

from app import settings
from app.domain.actor import shopper_actor
from app.domain.errors import RateLimited
from app.kit import clock
from app.providers.base import CartLine, CartSnapshot
from app.services.checkout import details, panel, payment, sessions, tries
from app.services.checkout.drafts import SessionDraft
from tests import catalogue
from tests.pages.hosted import Visit
from tests.shops import Shop, later

pytestmark = pytest.mark.usefixtures("holds")


# --- more time


def test_a_page_offers_more_time_once_near_its_end(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    visit = Visit(client, session)
    assert re.search(r"data-expires-at=\"[^\"]+\" hidden", visit.text)
    with later(3600 - 200):
        page = visit.text
        assert "3 minutes" in page and "I need more time" in page
        assert not re.search(r"data-expires-at=\"[^\"]+\" hidden", page)
        assert visit.send("extend").status_code == 303
        longer = shop.read(session)
        assert longer.expires_at == session.expires_at + timedelta(seconds=1800)
        assert "I need more time" not in visit.text
        again = visit.send("extend")
        assert again.status_code == 422 and "cannot be open any longer" in again.text
    with later(3600 + 900):
        assert visit.pay().status_code == 303
    assert shop.read(session).status == "completed"
    assert shop.read(session).expires_at == longer.expires_at


@pytest.mark.parametrize("surface", ["sessions", "merchant", "link"])
def test_a_lifetime_that_its_surface_fixes_stays(client: FlaskClient, shop: Shop, surface: str) -> None:
    session = shop.session(surface=surface)
    visit = Visit(client, session)
    assert "I need more time" not in visit.text
    assert visit.send("extend").status_code == 422
    assert shop.read(session).expires_at == session.expires_at


def test_no_session_grows_older_than_a_day(client: FlaskClient, shop: Shop) -> None:
    session = shop.session(lifetime_seconds=24 * 3600 - 600)
    visit = Visit(client, session)
    visit.send("extend")
    assert shop.read(session).expires_at == session.created_at + timedelta(days=1)


def test_an_expired_page_is_gone_and_offers_a_fresh_one(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    visit = Visit(client, session)
    token = visit.hidden("csrf_token")
    with later(3601):
        gone = client.get(visit.url)
        assert gone.status_code == 410 and "no money has left" in gone.text
        assert client.post(f"{visit.url}/extend", data=token).status_code == 410
        fresh = client.post(f"{visit.url}/again", data=token)
        assert fresh.status_code == 303
        assert client.get(fresh.location).status_code == 200


# --- leaving


def test_leaving_goes_over_a_page_of_ours(client: FlaskClient, shop: Shop) -> None:
    session = shop.session(cancel_url="https://shop.test/basket?a=1&b=2")
    visit = Visit(client, session)
    answer = visit.send("cancel")
    assert (answer.status_code, answer.location) == (303, f"{visit.url}/left")
    page = client.get(answer.location).text
    assert 'href="https://shop.test/basket?a=1&amp;b=2"' in page and "Nothing was paid" in page
    assert f'href="{visit.url}"' in page
    assert shop.read(session).status == "created", "it stays open until it expires (OP-46)"
    shop.pay(session)
    assert client.get(answer.location).location == visit.url


def test_the_shop_gets_its_customer_back_from_our_page_alone(client: FlaskClient, shop: Shop) -> None:
    session = shop.session(success_url="https://shop.test/thanks")
    visit = Visit(client, session)
    paid = visit.pay()
    assert paid.location == visit.url, "a form leads to us"
    page = visit.text
    assert 'data-step="receipt"' in page and 'href="https://shop.test/thanks"' in page
    assert 'http-equiv="refresh"' in page and "data-print" in page and "receipt.pdf" in page


# --- the phone, other tabs


def test_a_code_moves_the_page_to_a_phone_and_this_one_follows(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    visit = Visit(client, session)
    assert f'src="{visit.url}/qr.svg"' in visit.text and "Continue on your phone" in visit.text
    drawn = client.get(f"{visit.url}/qr.svg")
    assert drawn.mimetype == "image/svg+xml" and "Test shop, £16.20" in drawn.text
    scanned = zxingcpp.read_barcodes(Image.open(io.BytesIO(client.get(f"{visit.url}/qr.png").data)))
    assert [code.text for code in scanned] == [f"{settings.current().base_url}{visit.url}"]
    step = f"{visit.url}/step"
    assert f'data-handoff="{step}"' in visit.text
    assert client.get(step).text == "pay"
    payment.pay_by_redirect(shop.actor, session.id, "ideal", payment.Order("nonce-1"))
    assert client.get(step).text == "action"
    panel.act(shop.actor, session.id, "approve", payment.Order("nonce-2"))
    assert client.get(step).text == "receipt"


@pytest.mark.parametrize(
    "form", ["card", "method", "coupon", "gift-card", "store-credit", "another-way", "shipping", "extend"]
)
def test_the_address_of_a_form_shows_the_current_step(client: FlaskClient, shop: Shop, form: str) -> None:
    visit = Visit(client, shop.session())
    answer = client.get(f"{visit.url}/{form}")
    assert (answer.status_code, answer.location) == (303, visit.url)


# --- gift cards, credit, coupons


def test_a_gift_card_pays_a_part_and_comes_off_again(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    visit = Visit(client, session)
    catalogue.gift_card(shop, "GIFT-1234", 1000, currency="USD")
    catalogue.gift_card(shop, "GIFT-5678", 1000)
    assert "Use a gift card" in visit.text
    for code in ("NOPE", "GIFT-1234", ""):
        wrong = visit.send("gift-card", gift_card=code)
        assert wrong.status_code == 422 and 'id="gift_card-error"' in wrong.text
    assert visit.send("gift-card", gift_card=" gift-5678 ").status_code == 303
    page = visit.text
    assert "£6.20" in page and "Gift card …5678" in page and "Used up by this order" in page
    assert "GIFT-5678" not in page
    assert catalogue.on_card(shop, "GIFT-5678") == (1000, 1000)
    [part] = re.findall(r'name="remove" value="([^"]+)"', page)
    assert visit.send("gift-card", remove=part).status_code == 303
    assert catalogue.on_card(shop, "GIFT-5678") == (1000, 0)
    assert "Gift card …5678" not in visit.text
    assert visit.send("gift-card", remove=part).status_code == 422
    visit.send("gift-card", gift_card="GIFT-5678")
    assert visit.pay().status_code == 303
    assert shop.intent(session).amount == 620
    assert catalogue.on_card(shop, "GIFT-5678") == (0, 0)


def test_codes_are_not_found_by_trying(client: FlaskClient, shop: Shop) -> None:
    catalogue.gift_card(shop, "GIFT-5678", 1000)
    visit = Visit(client, shop.session())
    for number in range(10):
        assert visit.send("gift-card", gift_card=f"GUESS-{number}").status_code == 422
    refused = visit.send("gift-card", gift_card="GIFT-5678")
    assert refused.status_code == 429 and int(refused.headers["Retry-After"]) > 0
    assert catalogue.on_card(shop, "GIFT-5678") == (1000, 0)


def test_nor_from_the_many_addresses_of_one_line(client: FlaskClient, shop: Shop) -> None:
    catalogue.gift_card(shop, "GIFT-5678", 1000)
    for number in range(31):
        if number % 10 == 0:
            visit = Visit(client, shop.session())
            token = visit.hidden("csrf_token")
        guess = client.post(
            f"{visit.url}/gift-card",
            data={**token, "gift_card": f"GUESS-{number}"},
            environ_base={"REMOTE_ADDR": f"2a01:db8:1:2::{number:x}"},
        )
    assert guess.status_code == 429


def test_a_customers_credit_is_offered_used_and_taken_off(client: FlaskClient, shop: Shop) -> None:
    catalogue.credit(shop, "cust_1", 1000)
    session = shop.session(customer={"customer_id": "cust_1"})
    visit = Visit(client, session)
    assert "You have £10.00 of store credit" in visit.text and 'value="1000"' in visit.text
    visit.send("store-credit", amount="400")
    page = visit.text
    assert "£12.20" in page and "£6.00 is left on it" in page
    assert catalogue.of_customer(shop) == (1000, 400)
    visit.send("store-credit", amount="0")
    assert catalogue.of_customer(shop) == (1000, 0)
    too_much = visit.send("store-credit", amount="100000")
    assert too_much.status_code == 422 and "not so much store credit" in too_much.text
    assert "store credit" not in Visit(client, shop.session()).text, "a guest has none"


def test_a_coupon_comes_and_goes(client: FlaskClient, shop: Shop) -> None:
    catalogue.coupon(shop)
    session = shop.session(options={"allow_coupon_code": True, "tax": "included"})
    visit = Visit(client, session)
    assert "This code" in visit.send("coupon", coupon="NOPE").text
    visit.send("coupon", coupon="save10")
    assert "£13.50" in visit.text and 'value="SAVE10"' in visit.text
    visit.send("coupon", remove="SAVE10")
    assert "£13.50" not in visit.text and shop.read(session).promotion_codes == []
    visit.send("coupon", coupon="SAVE10")
    visit.pay()
    assert shop.intent(session).amount == 1350
    fixed = Visit(client, shop.session(promotion_codes=("SAVE10",)))
    assert fixed.send("coupon", remove="SAVE10").status_code == 422


def test_promotion_codes_are_not_found_by_trying(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.coupon(shop)
    monkeypatch.setitem(tries.PER_SESSION, tries.PROMOTION, 2)
    monkeypatch.setitem(tries.PER_ADDRESS, tries.PROMOTION, 2)
    visit = Visit(client, shop.session(options={"allow_coupon_code": True, "tax": "included"}))
    good, cart = ("SAVE10",), CartSnapshot("GBP", (CartLine("line_1", "MUG", "Mug", 1, 1500),))
    buyer = shopper_actor(shop.actor.tenant, "test", visit.session.id, address="8.8.4.4")
    for _ in range(3):
        assert visit.send("coupon", coupon="SAVE10").status_code == 303, "good codes do not count"
        visit.send("coupon", remove="SAVE10")
        details.change(buyer, visit.session.id, details.Change(promotion_codes=good))
        sessions.create(buyer, SessionDraft("checkout", cart=cart, promotion_codes=good))
    details.change(buyer, visit.session.id, details.Change(promotion_codes=()))
    for n in range(2):
        sessions.create(buyer, SessionDraft("checkout", cart=cart, promotion_codes=(f"NOPE{n}", *good)))
    with pytest.raises(RateLimited):
        sessions.create(buyer, SessionDraft("checkout", cart=cart, promotion_codes=good))
    assert [visit.send("coupon", coupon=f"NOPE{n}").status_code for n in range(2)] == [422, 422]
    refused = visit.send("coupon", coupon="SAVE10")
    assert refused.status_code == 429 and "Wait a moment" in refused.text
    assert 0 < int(refused.headers["Retry-After"]) <= 600
    shopper = shopper_actor(shop.actor.tenant, "test", visit.session.id, address="8.8.8.8")
    guess = details.Change(promotion_codes=("SAVE10",))
    with pytest.raises(RateLimited):
        details.change(shopper, visit.session.id, guess)
    assert details.change(shop.actor, visit.session.id, guess).grand_total == 1350, "its server may"


# --- nonces


@pytest.mark.parametrize("form", ["method", "sandbox"])
def test_a_nonce_that_no_page_of_ours_made_is_refused(client: FlaskClient, shop: Shop, form: str) -> None:
    for nonce in ("n" * 81, "4242424242424242"):
        visit = Visit(client, shop.session())
        sent = {**visit.hidden(), "nonce": nonce, "method": "ideal", "action": "approve"}
        assert client.post(f"{visit.url}/{form}", data=sent).status_code == 303
        [attempt] = shop.attempts(visit.session)
        assert attempt.nonce != nonce


# --- contact


def test_the_address_for_the_receipt_is_known_or_comes_along(client: FlaskClient, shop: Shop) -> None:
    known = Visit(client, shop.session(customer={"email": "sam@example.com"}))
    assert 'value="sam@example.com"' in known.text
    session = shop.session()
    Visit(client, session).pay("method", method="ideal", contact_email="new@example.com")
    assert shop.read(session).customer["email"] == "new@example.com"
    session = shop.session()
    Visit(client, session).pay("method", method="ideal", contact_email="4242424242424242@x.test")
    assert "email" not in shop.read(session).customer
    assert shop.read(session).status == "payment_processing"


# --- the sandbox panel


@pytest.mark.parametrize(
    ("action", "code", "status", "said"),
    [
        ("approve", "", "completed", 'data-step="receipt"'),
        ("decline", "insufficient_funds", "reserved", "enough funds"),
        ("decline", "expired_card", "reserved", "Your card has expired"),
        ("challenge", "", "payment_processing", 'data-step="action"'),
        ("abandon", "", "reserved", "No money has left your account"),
        ("time_out", "", "payment_processing", "Don't pay again"),
        ("late_webhook", "", "completed", 'data-step="receipt"'),
        ("expire", "", "canceled", 'data-step="expired"'),
    ],
)
def test_each_action_of_the_panel(
    client: FlaskClient, shop: Shop, action: str, code: str, status: str, said: str
) -> None:
    session = shop.session()
    visit = Visit(client, session)
    assert f'name="action" value="{action}"' in visit.text
    fields = {**visit.hidden("csrf_token", "nonce"), "action": action, "code": code}
    for _ in range(2):  # the second click finds what the first one did
        client.post(f"{visit.url}/sandbox", data=fields)
    assert shop.read(session).status == status
    assert said.replace("'", "&#39;") in visit.text or said in visit.text
    if action != "expire":
        assert len(shop.attempts(session)) == 1
    with later(180):
        payment.sweep()


@pytest.mark.parametrize(
    ("action", "after"), [("approve", "completed"), ("decline", "reserved"), ("abandon", "reserved")]
)
def test_at_the_bank_the_panel_says_what_the_bank_says(
    client: FlaskClient, shop: Shop, action: str, after: str
) -> None:
    session = shop.session()
    visit = Visit(client, session)
    visit.pay("method", method="promptpay")
    page = visit.text
    assert f'name="action" value="{action}"' in page and 'value="expire"' not in page
    assert visit.send("sandbox", action=action).status_code == 303
    assert shop.read(session).status == after


def test_there_is_no_panel_in_live_mode_and_none_in_production(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = shop.session()
    visit = Visit(client, session)
    for fields in ({"action": "explode"}, {"action": "decline", "code": "explode"}):
        assert visit.send("sandbox", **fields).status_code == 422
    monkeypatch.setattr(panel, "is_here", lambda mode: False)
    assert 'name="action"' not in visit.text
    assert visit.send("sandbox", action="approve").status_code == 422
    assert shop.read(session).payment_intent_id is None
    assert sessions.get(shop.actor, session.id).expires_at > clock.now()
