"""The hosted page that is drawn once and filled in: the same as a page drawn in full, and nobody else's."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.models.checkout.session import CheckoutSession
from app.pages import skeleton
from app.providers.base import CartLine, CartSnapshot
from app.services.checkout import sessions
from app.services.checkout.drafts import SessionDraft
from tests import catalogue
from tests.shops import Shop

#: What differs between two loads of one page.
FRESH = re.compile(r'(name="(?:csrf_token|nonce)"[^>]*value=")[^"]+')


def page(client: FlaskClient, session: CheckoutSession) -> str:
    return FRESH.sub(r"\1…", client.get(f"/pay/{session.hosted_id}").text)


def test_it_is_the_page_that_is_drawn_in_full(client: FlaskClient, shop: Shop, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    for title in (None, "Tea & <b>biscuits</b> ⟦nonce⟧"):
        session = shop.session(
            title=title, customer={"email": "a&b@example.com"}, cancel_url="https://shop.test/"
        )
        shop.session(title="another")
        quick = page(client, session)
        monkeypatch.setattr(skeleton, "fits", lambda *_: False)
        assert quick == page(client, session)
        monkeypatch.undo()
        assert "<b>biscuits" not in quick


def test_every_form_of_the_order_slip_is_the_one_drawn_in_full(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.coupon(shop)
    catalogue.tax(shop, "20")
    for count in (1, 2, 5, 8, 9):
        lines = tuple(
            CartLine(f"line_{n}", f"SKU-{n}", f"Thing <{n}>", 1 + n % 2, 1000 + n) for n in range(count)
        )
        for codes in ((), ("SAVE10",)):
            draft = SessionDraft(
                surface="checkout",
                hosted=True,
                cart=CartSnapshot("GBP", lines),
                promotion_codes=codes,
                description="Made & sent" if codes else None,
            )
            session = sessions.create(shop.actor, draft)
            quick = page(client, session)
            assert quick == page(client, session)  # the second is filled into what the first has drawn
            monkeypatch.setattr(skeleton, "fits", lambda *_: False)
            assert quick == page(client, session)
            monkeypatch.undo()
            assert quick.count("Thing &lt;") == count


def test_nothing_of_one_shopper_is_on_anothers_page(app: Flask, shop: Shop) -> None:
    one, two = app.test_client(), app.test_client()
    first = shop.session(title="First", price=1111, customer={"email": "first@example.com"})
    second = shop.session(title="Second", price=2222, customer={"email": "second@example.com"})
    pages = one.get(f"/pay/{first.hosted_id}").text, two.get(f"/pay/{second.hosted_id}").text
    tokens = [re.findall(r'name="(?:csrf_token|nonce)"[^>]*value="([^"]+)', text) for text in pages]
    assert tokens[0] and set(tokens[0]).isdisjoint(tokens[1])
    for secret in (str(first.hosted_id), "First", "first@example.com", "£12.00"):
        assert secret in pages[0] and secret not in pages[1]


def test_a_filled_in_page_pays(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    shop.session()
    text = client.get(f"/pay/{session.hosted_id}").text
    fields = dict(re.findall(r'name="(csrf_token|nonce|quote)"[^>]*value="([^"]+)', text))
    card = {"card_number": "4242 4242 4242 4242", "exp_month": "12", "exp_year": "34", "cvc": "123"}
    answer = client.post(f"/pay/{session.hosted_id}/card", data={**fields, **card})
    assert answer.status_code == 303
    assert shop.read(session).status == "completed"
