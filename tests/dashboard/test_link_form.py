"""A payment link's page at the dashboard: what its form asks for, what payers then see, and what is refused."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from app.models.checkout.payment_link import PaymentLink
from app.services.checkout import links
from app.services.checkout.link_page import Asked, key_of
from app.services.payments import uploads
from tests import catalogue, drawings
from tests.desk import Desk
from tests.shops import Shop, make

LINK = {"title": "Boat trip", "currency": "GBP", "how": "fixed", "amount": "10", "slug": "boat"}
PAGE = {
    "page_asked": "1",
    "max_quantity": "4",
    "promotion_codes": "1",
    "question-0-label": "Name of the boat?",
    "question-0-required": "1",
    "question-2-label": "Größe",
    "question-2-options": "S\n\n M & L \n",
    "message-inactive": "Back in May",
}


def the_link(shop: Shop) -> PaymentLink:
    return links.get(shop.actor, "boat")


def fields(page: str) -> dict[str, Any]:
    """What a browser would send of the form as it stands."""
    sent: dict[str, Any] = {}
    for tag in re.findall(r"<input [^>]*>", page):
        name, value = (re.search(rf'{part}="([^"]*)"', tag) for part in ("name", "value"))
        boxed = 'type="checkbox"' in tag or 'type="radio"' in tag
        if name and 'type="file"' not in tag and (not boxed or " checked" in tag):
            sent.setdefault(name.group(1), []).append(value.group(1) if value else "")
    for name, value in re.findall(r'<textarea [^>]*name="([^"]+)"[^>]*>([^<]*)<', page):
        sent[name] = value.replace("&amp;", "&")
    return {name: value for name, value in sent.items() if name not in ("csrf_token", "q")}


def test_a_link_made_here_asks_payers_and_keeps_what_it_was_told(desk: Desk, shop: Shop) -> None:
    catalogue.coupon(shop)
    photo = drawings.file(drawings.mark(paper=drawings.WHITE, width=2000, height=900), "WEBP")
    made = desk.post("/links", **LINK, **PAGE, picture_file=(io.BytesIO(photo), "boat.webp"))
    assert made.status_code == 303, made.text[-900:]
    page = the_link(shop).page
    assert page is not None
    picture = page.pop("picture")
    assert page == {
        "maxQuantity": 4,
        "promotionCodes": True,
        "fields": [
            {"key": "name_of_the_boat", "label": "Name of the boat?", "required": True},
            {"key": "grosse", "label": "Größe", "options": ["S", "M & L"]},
        ],
        "messages": {"inactive": "Back in May"},
    }
    upload, drawn = uploads.content(shop.actor, picture)
    assert upload.content_type == "image/jpeg" and drawings.opened(drawn).size == (1280, 576)
    shown = desk.client.get("/l/boat").text
    for part in (
        "Name of the boat?",
        'value="M &amp; L"',
        'name="code"',
        'name="quantity"',
        "/l/boat/picture",
    ):
        assert part in shown, part
    answers = {"name_of_the_boat": "Ada", "grosse": "S"}
    session = links.pay("boat", asked=Asked(3, "save10", answers, {"utm_source": "flyer"}))
    assert session.grand_total == 2700
    assert session.metadata_ == {**answers, "utm_source": "flyer"}
    here = desk.page(f"/links/{the_link(shop).id}?utm_source=flyer&utm_campaign=May+%26+June")
    assert "/l/boat?utm_source=flyer&amp;utm_campaign=May+%26+June" in here
    assert "has to be answered" in here and "Back in May" in here


def test_a_link_that_is_saved_as_it_stands_stays_as_it_is_and_loses_what_is_emptied(
    desk: Desk, shop: Shop
) -> None:
    photo = drawings.file(drawings.mark())
    desk.post("/links", **LINK, **PAGE, picture_file=(io.BytesIO(photo), "boat.png"))
    before = the_link(shop)
    here = f"/links/{before.id}"
    form = fields(desk.page(f"{here}/edit"))
    assert desk.post(here, **form).status_code == 303
    same = the_link(shop)
    assert (same.page, same.version, same.amount) == (before.page, before.version, 1000)
    form |= {"question-0-label": "Its name", "question-1-label": "", "max_quantity": "", "picture_gone": "1"}
    assert desk.post(here, **form).status_code == 303
    page = the_link(shop).page
    assert page is not None
    assert page["fields"] == [{"key": "name_of_the_boat", "label": "Its name", "required": True}], (
        "its key stays"
    )
    assert "maxQuantity" not in page and "picture" not in page
    plain = {name: value for name, value in form.items() if not name.startswith(("question", "message"))}
    assert desk.post(here, **{**plain, "promotion_codes": "", "version": "2"}).status_code == 303
    assert the_link(shop).page is None
    links.update(shop.actor, "boat", {"page": {"promotionCodes": True}})
    other_form = {name: value for name, value in plain.items() if name != "page_asked"}
    assert desk.post(here, **{**other_form, "version": "4"}).status_code == 303
    assert the_link(shop).page == {"promotionCodes": True}, "a form that does not ask leaves it"


def test_what_cannot_be_is_said_at_its_place_and_makes_nothing(desk: Desk, shop: Shop) -> None:
    stranger = make("Stranger")
    theirs = uploads.store(stranger.actor, "b.png", "image/png", drawings.file(drawings.mark()))
    for wrong, place, words in (
        ({"max_quantity": "1"}, "max_quantity", "from 2 to 999"),
        ({"max_quantity": "many"}, "max_quantity", "whole number"),
        ({"question-0-label": "x" * 81}, "questions", "1 to 80 characters"),
        ({"question-0-key": "amount"}, "questions", "cannot be a key"),
        ({"question-1-label": "B", "question-1-key": "name_of_the_boat", "question-0-key": "name_of_the_boat"},
         "questions", "a key of its own"),
        ({"question-2-options": "\n".join(str(n) for n in range(21))}, "questions", "Up to 20"),
        ({"message-expired": "x" * 301}, "message-expired", "at most 300"),
        ({"picture": theirs.id}, "picture_file", "no such upload"),
        ({"picture_file": (io.BytesIO(b"<svg onload=alert(1)>"), "b.svg")}, "picture_file", "may hold scripts"),
        ({"picture_file": (io.BytesIO(bytes(6_000_000)), "b.png")}, "picture_file", "at most 5 MB"),
        ({"title": "4242 4242 4242 4242"}, "title", "card number"),
    ):  # fmt: skip
        refused = desk.post("/links", **{**LINK, **PAGE, **wrong})
        assert refused.status_code == 422, (wrong, refused.status_code)
        assert words in refused.text, wrong
        if place != "title":
            assert f'href="#{place}"' in refused.text and f'id="{place}"' in refused.text, wrong
            assert "Back in May" in refused.text or "message-expired" in wrong, "what was typed stays"
    nul = desk.post("/links", **{**LINK, **PAGE, "title": "a\x00b"}, picture_file=(io.BytesIO(b"x"), "x.png"))
    assert nul.status_code == 400, "also of a form with a file"
    assert links.list_page(shop.actor).data == []


@pytest.mark.parametrize(
    ("label", "taken", "key"),
    [
        ("Name of the boat?", (), "name_of_the_boat"),
        ("Quantity", (), "answer_quantity"),
        ("2nd guest", (), "answer_2nd_guest"),
        ("اسم", (), "answer"),
        ("名前", ("answer", "answer_2"), "answer_3"),
        ("x" * 80, ("x" * 28,), "x" * 28 + "_2"),
    ],
)
def test_a_question_that_has_words_alone_gets_a_key(label: str, taken: tuple[str, ...], key: str) -> None:
    assert key_of(label, taken) == key
