"""The page of a payment link: what it asks, what it keeps, what it says when nobody can pay, and its codes."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import select

from app import settings
from app.db import reading
from app.domain.errors import InvalidRequest
from app.models.checkout.payment_link import PaymentLink
from app.models.checkout.session import CheckoutSession
from app.pages import links as pages
from app.services.checkout import links, sessions, tries
from app.services.checkout.link_terms import LinkDraft
from app.services.payments import uploads
from tests import catalogue, qr_codes
from tests.shops import Shop, later, make

PIXEL = b"\x89PNG\r\n\x1a\n and so on"
PAGE = {
    "maxQuantity": 4,
    "promotionCodes": True,
    "fields": [
        {"key": "boat_name", "label": "Name of the boat", "required": True},
        {"key": "size", "label": "Size", "options": ["S", "M & L"]},
    ],
}


def link(shop: Shop, page: dict[str, Any] | None = None, **terms: Any) -> PaymentLink:
    draft = {"title": "Boat trip", "currency": "GBP", "amount": 1000, "slug": "boat", "page": page, **terms}
    return links.create(shop.actor, LinkDraft(**draft))


def send(client: FlaskClient, slug: str = "boat", **form: str) -> tuple[int, str, str]:
    """Open the page and press its button: (status, where to, the page)."""
    shown = client.get(f"/l/{slug}").text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', shown)
    assert token is not None
    answer = client.post(f"/l/{slug}", data={"csrf_token": token.group(1), **form})
    return answer.status_code, answer.headers.get("Location", ""), answer.text


def started(shop: Shop) -> list[CheckoutSession]:
    with reading() as db:
        of_links = select(CheckoutSession).where(CheckoutSession.surface == "link")
        return list(db.scalars(of_links.order_by(CheckoutSession.created_at)))


def scans() -> int:
    return links.by_slug("boat")[0].scans


def test_what_a_payer_answers_is_kept_with_the_session(client: FlaskClient, shop: Shop) -> None:
    catalogue.coupon(shop)
    link(shop, PAGE)
    status, target, _ = send(
        client,
        quantity="3", code="save10", boat_name=" Ada ", size="M & L", email="ann@example.com",
        utm_source="flyer", utm_term="4242 4242 4242 4242", other="ignored",
    )  # fmt: skip
    assert status == 303
    [session] = started(shop)
    assert target == f"/pay/{session.hosted_id}"
    assert session.metadata_ == {"boat_name": "Ada", "size": "M & L", "utm_source": "flyer"}
    assert session.totals is not None
    assert (session.totals["sub_total"], session.grand_total) == (3000, 2700)
    assert session.customer == {"email": "ann@example.com"}
    page = client.get(target).text
    assert 'name="coupon"' in page
    assert links.by_slug("boat")[0].held == 1


def test_who_pays_or_scans_or_guesses_too_often_waits(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    link(shop, {"promotionCodes": True})
    monkeypatch.setattr(pages, "PAYMENTS_A_MINUTE", 3)
    monkeypatch.setattr(pages, "SCANS_A_MINUTE", 2)
    monkeypatch.setitem(tries.PER_ADDRESS, tries.PROMOTION, 1)
    client.environ_base["REMOTE_ADDR"] = "8.8.8.8"
    assert send(client, code="NOPE")[0] == 422
    status, _, page = send(client, code="SAVE10", email="ann@example.com")
    assert status == 429 and "Wait a moment" in page and 'value="ann@example.com"' in page
    assert (send(client)[0], send(client)[0]) == (303, 429)
    assert len(started(shop)) == 1 and links.by_slug("boat")[0].held == 1
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/l/boat").text)
    assert token is not None
    again = client.post("/l/boat", data={"csrf_token": token.group(1)})
    assert 0 < int(again.headers["Retry-After"]) <= 60
    scanned = [client.post("/l/boat/scan", data={"csrf_token": token.group(1)}) for _ in range(3)]
    assert ([answer.status_code for answer in scanned], scans()) == ([204, 204, 429], 2)
    client.environ_base["REMOTE_ADDR"] = "8.8.4.4"
    assert send(client)[0] == 303, "somebody else"
    client.environ_base["REMOTE_ADDR"] = "127.0.0.1"
    assert {send(client)[0] for _ in range(5)} == {303}, "a proxy that is not known says nothing of who pays"


def test_starting_again_leads_to_the_link_where_it_takes_no_such_payment_any_more(
    client: FlaskClient, shop: Shop
) -> None:
    link(shop, amount=None, max_amount=5000)
    page, form = send(client, amount="20")[1], {}
    with later(1801):
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(page).text)
        assert found is not None, "it offers to start again"
        form["csrf_token"] = found.group(1)
        links.update(shop.actor, "boat", {"max_amount": 1000})
        assert client.post(f"{page}/again", data=form).location == "/l/boat"
        assert len(started(shop)) == 1
        links.update(shop.actor, "boat", {"max_amount": 2000})
        fresh = client.post(f"{page}/again", data=form).location
        assert client.get(fresh).status_code == 200 and "£20.00" in client.get(fresh).text
        assert client.post(f"{page}/again", data=form).location == fresh
        assert client.post(f"{fresh}/again", data=form).location == fresh, "it is not over"
    assert len(started(shop)) == 2


MISTAKES = [
    ({"quantity": "5"}, "quantity from 1 to 4"),
    ({"quantity": "0"}, "quantity from 1 to 4"),
    ({"quantity": "two"}, "quantity from 1 to 4"),
    ({"boat_name": " "}, "Fill in: Name of the boat"),
    ({"boat_name": "x" * 201}, "no answer: Name of the boat"),
    ({"boat_name": "4242424242424242"}, "looks like a card number"),
    ({"size": "XXL"}, "no answer: Size"),
    ({"code": "NOPE"}, "code isn"),
    ({"email": "nobody"}, "like name@example.com"),
]


def test_a_mistake_is_named_and_starts_nothing(client: FlaskClient, shop: Shop) -> None:
    link(shop, PAGE)
    for mistake, words in MISTAKES:
        status, _, page = send(client, **{"boat_name": "Ada", "size": "S", **mistake})
        assert status == 422, mistake
        assert words in page, mistake
        assert "4242424242424242" not in page
        assert 'value="Ada"' in page or "boat_name" in mistake, "what was typed stays"
    assert started(shop) == []
    assert links.by_slug("boat")[0].held == 0
    links.update(shop.actor, "boat", {"page": None})
    for refused in ({"quantity": "2"}, {"code": "SAVE10"}):
        assert send(client, **refused)[0] == 422


def test_the_payers_amount_has_presets_and_bounds(client: FlaskClient, shop: Shop) -> None:
    link(shop, amount=None, min_amount=500, max_amount=5000, presets=(1000, 2000))
    shown = client.get("/l/boat").text
    for words in ("£10.00", "£20.00", "Between £5.00 and £50.00"):
        assert words in shown
    for form in ({}, {"amount": "4.99"}, {"amount": "50,01"}, {"preset": "999"}, {"amount": "ten"}):
        assert send(client, **form)[0] == 422
    for form in ({"preset": "2000"}, {"amount": "12,50"}, {"amount": "7", "preset": "1000"}):
        assert send(client, **form)[0] == 303
    assert [session.grand_total for session in started(shop)] == [2000, 1250, 700]


def test_a_mark_between_thousands_makes_no_small_amount(client: FlaskClient, shop: Shop) -> None:
    link(shop, amount=None)
    link(shop, amount=None, currency="JPY", slug="yen")
    link(shop, amount=None, currency="KWD", slug="dinar")
    for slug, typed in (
        ("boat", "1,000"),
        ("boat", "1.000"),
        ("boat", "2.50000"),
        ("yen", "10,000"),
        ("yen", "5.0"),
    ):
        assert send(client, slug, amount=typed)[0] == 422, typed
    assert started(shop) == []
    for slug, typed in (("boat", "12.5"), ("yen", "10000"), ("dinar", "1.250")):
        assert send(client, slug, amount=typed)[0] == 303, typed
    assert [session.grand_total for session in started(shop)] == [1250, 10000, 1250]


def test_the_address_fills_the_form_in_and_a_look_changes_nothing(client: FlaskClient, shop: Shop) -> None:
    made = link(shop, PAGE)
    asked = "quantity=2&email=a%40b.example&code=SAVE10&boat_name=Ada&size=S&utm_campaign=spring&via=qr"
    page = client.get(f"/l/boat?{asked}&boat_name=x&card=4242424242424242").text
    for words in ('value="2"', "a@b.example", "SAVE10", 'value="Ada"', '<option value="S" selected'):
        assert words in page
    assert re.search(r'type="hidden" name="utm_campaign" value="spring"', page)
    assert "4242424242424242" not in client.get("/l/boat?boat_name=4242424242424242").text
    for path in ("", "/qr.svg", "/qr.png", "/poster"):
        client.get(f"/l/boat{path}?via=qr")
    now = links.get(shop.actor, made.id)
    assert (now.scans, now.held, now.version, started(shop)) == (0, 0, 1, [])


def test_scans_are_counted_once_with_script_and_without(client: FlaskClient, shop: Shop) -> None:
    link(shop)
    page = client.get("/l/boat?via=qr").text
    assert 'data-scan="/l/boat/scan"' in page
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert token is not None
    assert client.post("/l/boat/scan", data={"csrf_token": token.group(1)}).status_code == 204
    assert client.post("/l/boat/scan").status_code == 400, "another site's form counts nothing"
    assert scans() == 1
    send(client)
    assert scans() == 1
    send(client, via="qr")
    assert scans() == 2
    assert "data-scan" not in send(client, via="qr", quantity="9")[2], "a mistake is no second scan"
    assert scans() == 3
    assert "data-scan" not in client.get("/l/boat").text


def test_each_end_has_the_merchants_own_words(client: FlaskClient, shop: Shop) -> None:
    reasons = ("inactive", "expired", "used_up", "sold_out", "taken")
    words = {reason: f"Ours: {reason} <3" for reason in reasons}
    link(shop, {"messages": words}, usage_limit=1, expires_at=None)

    def says(reason: str, own: bool = True, heading: str = "") -> None:
        page = client.get("/l/boat").text
        assert (f"Ours: {reason} &lt;3" in page) is own
        assert heading in page
        assert "data-pay-button" not in page
        assert client.get("/l/boat").status_code == 200

    first = links.pay("boat")
    says("taken", heading="Somebody else is paying")
    sessions.cancel(shop.actor, first.id)
    assert "data-pay-button" in client.get("/l/boat").text, "free again"
    shop.pay(links.pay("boat"))
    says("used_up", heading="This link has been used")
    links.update(shop.actor, "boat", {"usage_limit": 2})
    shop.pay(links.pay("boat"), nonce="second")
    says("sold_out", heading="Sold out")
    links.update(shop.actor, "boat", {"page": None})
    says("sold_out", own=False, heading="All of it has been sold")
    links.update(shop.actor, "boat", {"usage_limit": None, "page": {"messages": words}})
    links.set_active(shop.actor, "boat", False)
    says("inactive", heading="This link is not active")
    links.set_active(shop.actor, "boat", True)
    ends = links.get(shop.actor, "boat").created_at.replace(year=2099)
    links.update(shop.actor, "boat", {"expires_at": ends})
    with later(80 * 365 * 86_400):
        says("expired", heading="This link has expired")


def test_a_picture_is_an_upload_of_the_merchants_own(client: FlaskClient, shop: Shop) -> None:
    mine = uploads.store(shop.actor, "boat.png", "image/png", PIXEL)
    words = uploads.store(shop.actor, "boat.txt", "text/plain", b"a boat")
    theirs = uploads.store(make("Other shop").actor, "boat.png", "image/png", PIXEL)
    for wrong in (words.id, theirs.id, "upl_none"):
        with pytest.raises(InvalidRequest) as refused:
            link(shop, {"picture": wrong})
        assert refused.value.field == "page.picture"
    link(shop)
    assert client.get("/l/boat/picture").status_code == 404
    links.update(shop.actor, "boat", {"page": {"picture": mine.id}})
    assert 'src="/l/boat/picture"' in client.get("/l/boat").text
    answer = client.get("/l/boat/picture")
    assert (answer.data, answer.mimetype) == (PIXEL, "image/png")


def test_a_decoder_reads_both_codes_back_to_the_link(client: FlaskClient, shop: Shop) -> None:
    link(shop)
    png = Image.open(io.BytesIO(client.get("/l/boat/qr.png").data))
    svg = client.get("/l/boat/qr.svg").text
    found = [qr_codes.read(png), qr_codes.read(qr_codes.drawn(svg))]
    base = settings.current().base_url
    assert found == [f"{base}/l/boat?via=qr"] * 2
    assert client.get(found[0].removeprefix(base)).status_code == 200
    assert 'aria-label="QR code to pay Test shop £10.00"' in svg


BAD_PAGES: list[tuple[dict[str, Any], str]] = [
    ({"maxQuantity": 1}, "page.maxQuantity"),
    ({"maxQuantity": 1000}, "page.maxQuantity"),
    ({"fields": [{"key": "email", "label": "Mail"}]}, "page.fields"),
    ({"fields": [{"key": "utm_source", "label": "Mail"}]}, "page.fields"),
    ({"fields": [{"key": "A b", "label": "Mail"}]}, "page.fields"),
    ({"fields": [{"key": "a", "label": " "}]}, "page.fields"),
    ({"fields": [{"key": "a", "label": "A"}] * 2}, "page.fields"),
    ({"fields": [{"key": "a", "label": "A", "options": ["x", "x"]}]}, "page.fields"),
    ({"fields": [{"key": f"a{n}", "label": "A"} for n in range(6)]}, "page.fields"),
    ({"messages": {"moved": "away"}}, "page.messages"),
    ({"messages": {"expired": " "}}, "page.messages"),
]


def test_a_page_that_cannot_be_is_refused_with_its_field(shop: Shop) -> None:
    made = link(shop)
    for page, field in BAD_PAGES:
        with pytest.raises(InvalidRequest) as refused:
            links.update(shop.actor, "boat", {"page": page})
        assert refused.value.field == field, page
    assert links.get(shop.actor, made.id).version == 1
