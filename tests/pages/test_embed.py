"""The hosted page in a frame on a shop's page: who may frame it, what the token opens, and no cookie."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models.checkout.session import CheckoutSession
from app.services.access import tenants
from app.services.checkout import hosted, sessions
from app.services.operations import settings
from tests.shops import CHALLENGED, GOOD, NO_FUNDS, Shop, later

SHOP, ALSO, OTHER = "https://shop.example", "http://localhost:8080", "https://elsewhere.example"

CARD = {"exp_month": "12", "exp_year": "39", "cvc": "123", "email": "ann@example.com"}


@pytest.fixture
def framed(shop: Shop) -> Shop:
    """A shop that frames its checkout on two origins."""
    settings.change(shop.actor, {"embed_origins": [SHOP, ALSO]})
    return shop


@pytest.fixture
def visitor(app: Flask, framed: Shop) -> FlaskClient:
    """A browser that keeps no cookies, as in a frame on another site."""
    return app.test_client(use_cookies=False)


def token_of(shop: Shop, session: CheckoutSession) -> str:
    return hosted.embed_token(shop.actor, session.id)[0]


def show(visitor: FlaskClient, token: str, origin: str = SHOP, **more: Any) -> TestResponse:
    return visitor.get(f"/embed/{token}", query_string={"origin": origin}, **more)


def ancestors(answer: TestResponse) -> str:
    found = re.search(r"frame-ancestors ([^;]+)", answer.headers["Content-Security-Policy"])
    assert found is not None
    assert "X-Frame-Options" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    return found.group(1)


def fields(answer: TestResponse) -> dict[str, str]:
    """What the card form carries without the shopper seeing it."""
    form = answer.text.split('id="card-form"')[1].split("</form>")[0]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))


def pay(visitor: FlaskClient, session: CheckoutSession, number: str, **form: str) -> TestResponse:
    return visitor.post(f"/pay/{session.hosted_id}/card", data={**CARD, "card_number": number, **form})


def test_a_session_is_paid_in_a_frame_without_a_cookie(visitor: FlaskClient, framed: Shop) -> None:
    made = framed.session(hosted=False, success_url="https://shop.example/thanks")
    page = show(visitor, token_of(framed, made))
    session = framed.read(made)
    assert (page.status_code, ancestors(page)) == (200, f"{SHOP} {ALSO}")
    assert session.hosted_id
    assert f'data-frame-origin="{SHOP}"' in page.text
    assert "/cancel" not in page.text
    carried = fields(page)
    assert "csrf_token" not in carried
    declined = pay(visitor, session, NO_FUNDS, **carried)
    assert (declined.status_code, ancestors(declined)) == (200, f"{SHOP} {ALSO}")
    assert "enough funds" in declined.text
    paid = pay(visitor, session, GOOD, **fields(declined))
    assert (paid.status_code, ancestors(paid)) == (200, f"{SHOP} {ALSO}")
    assert 'data-step="receipt"' in paid.text
    assert "data-leave-after" not in paid.text
    assert framed.read(session).status == "completed"
    assert framed.intent(session).amount_captured == session.grand_total > 0
    once_more = pay(visitor, session, GOOD, **fields(declined))
    assert 'data-step="receipt"' in once_more.text
    assert len(framed.attempts(session)) == 2
    assert 'data-step="receipt"' in show(visitor, carried["embed_token"]).text


def test_a_frame_speaks_the_language_of_the_page_around_it(visitor: FlaskClient, framed: Shop) -> None:
    session = framed.session()
    token, french = token_of(framed, session), {"Accept-Language": "fr"}
    for asked, spoken in (("de", "de"), ("xx", "fr"), ("", "fr")):
        page = visitor.get(f"/embed/{token}", query_string={"origin": SHOP, "lang": asked}, headers=french)
        assert ancestors(page) == f"{SHOP} {ALSO}"
        assert f'<html lang="{spoken}"' in page.text
        carried = fields(page)
        declined = pay(visitor, session, NO_FUNDS, **carried)
        assert f'<html lang="{spoken}"' in declined.text, "no cookie keeps it: its forms do"
        again = visitor.post("/embed", data=carried, headers=french)
        assert f'<html lang="{spoken}"' in again.text
    refused = visitor.get(f"/embed/{token}x", query_string={"origin": SHOP, "lang": "de"}, headers=french)
    assert (refused.status_code, ancestors(refused)) == (404, SHOP)
    assert "Dieses Zahlungsformular gilt nicht mehr." in refused.text


def test_a_bank_opens_outside_and_the_frame_asks_how_it_went(visitor: FlaskClient, framed: Shop) -> None:
    session = framed.session()
    carried = fields(show(visitor, token_of(framed, session)))
    asked = pay(visitor, session, CHALLENGED, **carried)
    assert 'data-step="action"' in asked.text
    assert "data-poll-seconds" in asked.text
    again = {name: carried[name] for name in ("embed_token", "embed_origin")}
    assert 'data-step="action"' in visitor.post("/embed", data=again).text
    bank = re.search(r'href="[^"]*(/sandbox/acs/[^"]+)"', asked.text)
    assert bank is not None
    assert "frame-ancestors 'none'" in visitor.get(bank.group(1)).headers["Content-Security-Policy"]
    given_up = visitor.post(f"/pay/{session.hosted_id}/another-way", data=again)
    assert 'data-step="pay"' in given_up.text
    assert ancestors(given_up) == f"{SHOP} {ALSO}"


def test_an_origin_that_is_not_listed_reads_why(visitor: FlaskClient, framed: Shop) -> None:
    session = framed.session(title="A secret mug")
    token = token_of(framed, session)
    for answer in (
        show(visitor, token, OTHER),
        visitor.get(f"/embed/{token}", headers={"Referer": f"{OTHER}/cart"}),
        pay(visitor, session, GOOD, embed_token=token, embed_origin=OTHER),
    ):
        assert (answer.status_code, ancestors(answer)) == (403, OTHER)
        assert f"may not be shown on {OTHER}" in answer.text
        assert 'data-frame-error="origin_not_allowed"' in answer.text
        assert "mug" not in answer.text
        assert "<form" not in answer.text
    assert framed.read(session).status == "created"
    lying = show(visitor, token, "https://evil.example; script-src *")
    assert (lying.status_code, ancestors(lying)) == (403, "'none'")
    assert ancestors(show(visitor, token, ALSO)) == f"{SHOP} {ALSO}", "what is claimed opens no other door"
    settings.change(framed.actor, {"embed_origins": []})
    assert ancestors(visitor.get(f"/embed/{token}")) == "'none'"


def test_the_token_opens_its_own_session_until_its_time_is_up(
    app: Flask, visitor: FlaskClient, framed: Shop
) -> None:
    mine, other = framed.session(), framed.session()
    token = token_of(framed, mine)
    carried = {**fields(show(visitor, token)), "embed_origin": SHOP}
    crossed = pay(visitor, other, GOOD, **carried)
    assert crossed.status_code == 404
    assert framed.read(other).status == "created"
    bare = pay(visitor, mine, GOOD)
    assert (bare.status_code, framed.read(mine).status) == (400, "created"), "no token, no cookie: forged"
    for bad in ("x" * 30, "pub_x.y", token[:-2] + "xx", framed.secret):
        for answer in (show(visitor, bad), pay(visitor, mine, GOOD, embed_token=bad, embed_origin=SHOP)):
            assert (answer.status_code, ancestors(answer)) == (404, SHOP)
    client_token = app.test_client().get(f"/v1/checkout/sessions/{mine.id}", headers=framed.bearer).json
    assert client_token is not None
    with later(901):
        for answer in (show(visitor, token), pay(visitor, mine, GOOD, **carried)):
            assert (answer.status_code, ancestors(answer)) == (404, SHOP)
            assert "Reload the page" in answer.text
        assert framed.read(mine).status == "created"


def test_a_session_that_is_over_starts_again_in_the_frame(visitor: FlaskClient, framed: Shop) -> None:
    session = framed.session()
    page = show(visitor, token_of(framed, session))
    again = {name: fields(page)[name] for name in ("embed_token", "embed_origin")}
    sessions.cancel(framed.actor, session.id)
    over = visitor.post("/embed", data=again)
    assert 'data-step="canceled"' in over.text
    fresh = visitor.post(f"/pay/{session.hosted_id}/again", data=again)
    assert (fresh.status_code, ancestors(fresh)) == (200, f"{SHOP} {ALSO}")
    carried = fields(fresh)
    assert carried["embed_token"] != again["embed_token"]
    found = re.search(r'action="/pay/([^/"]+)/card"', fresh.text)
    assert found is not None
    paid = visitor.post(f"/pay/{found.group(1)}/card", data={**CARD, "card_number": GOOD, **carried})
    assert 'data-step="receipt"' in paid.text
    unpaged = framed.session(hosted=False)
    token = token_of(framed, unpaged)
    sessions.cancel(framed.actor, unpaged.id)
    gone = show(visitor, token)
    assert (gone.status_code, ancestors(gone)) == (409, SHOP)
    assert 'data-frame-error="session_over"' in gone.text


def test_in_a_suspended_shops_frame_who_has_paid_sees_so_and_nobody_else_pays(
    visitor: FlaskClient, framed: Shop
) -> None:
    paid, open_, bank = framed.session(), framed.session(), framed.session()
    frames = {made.id: fields(show(visitor, token_of(framed, made))) for made in (paid, open_, bank)}
    pay(visitor, paid, GOOD, **frames[paid.id])
    pay(visitor, bank, CHALLENGED, **frames[bank.id])
    tenants.suspend(framed.actor, "not trusted")
    token = frames[open_.id]["embed_token"]
    for answer in (
        show(visitor, token),
        pay(visitor, open_, GOOD, **frames[open_.id]),
        visitor.post("/embed", data=frames[open_.id]),
    ):
        assert (answer.status_code, ancestors(answer)) == (403, SHOP)
        assert 'data-frame-error="tenant_suspended"' in answer.text
        assert "This shop takes no payments at the moment." in answer.text
        assert "<form" not in answer.text
    german = show(visitor, token, headers={"Accept-Language": "de"})
    assert "Dieser Shop nimmt" in german.text
    for made, step in ((paid, "receipt"), (bank, "action")):
        again = visitor.post("/embed", data=frames[made.id])
        assert (again.status_code, ancestors(again)) == (200, f"{SHOP} {ALSO}")
        assert f'data-step="{step}"' in again.text
    assert framed.read(open_).status == "created"
    listed = visitor.get(f"/v1/checkout/sessions/{paid.id}", headers={"Authorization": f"Bearer {token}"})
    assert listed.status_code == 403, "its API lets nobody of the merchant's in"
    tenants.resume(framed.actor)
    assert 'data-step="receipt"' in pay(visitor, open_, GOOD, **frames[open_.id]).text


def test_the_panel_of_test_mode_works_in_a_frame(visitor: FlaskClient, framed: Shop) -> None:
    session = framed.session()
    page = show(visitor, token_of(framed, session))
    panel = page.text.split(f'action="/pay/{session.hosted_id}/sandbox"')[1].split("</form>")[0]
    carried = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', panel))
    done = visitor.post(f"/pay/{session.hosted_id}/sandbox", data={**carried, "action": "approve"})
    assert (done.status_code, ancestors(done)) == (200, f"{SHOP} {ALSO}")
    assert 'data-step="receipt"' in done.text


def test_what_leads_nowhere_in_a_frame_shows_its_step(visitor: FlaskClient, framed: Shop) -> None:
    session = framed.session()
    carried = fields(show(visitor, token_of(framed, session)))
    left = visitor.post(f"/pay/{session.hosted_id}/cancel", data=carried)
    assert (left.status_code, ancestors(left)) == (200, f"{SHOP} {ALSO}")
    nonsense = visitor.get(f"/embed/{carried['embed_token']}", headers={"Referer": "https://[shop.example/"})
    assert nonsense.status_code == 200


def test_the_script_may_be_loaded_by_any_page_and_the_hosted_page_framed_by_none(
    visitor: FlaskClient, framed: Shop
) -> None:
    script = visitor.get("/static/embed.js")
    assert script.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "max-age=600" in script.headers["Cache-Control"]
    assert visitor.get("/static/css/base.css").headers["Cross-Origin-Resource-Policy"] == "same-origin"
    page = visitor.get(f"/pay/{framed.session().hosted_id}")
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert "Set-Cookie" in page.headers
