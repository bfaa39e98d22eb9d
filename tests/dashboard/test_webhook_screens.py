"""Webhooks at the dashboard: deliveries by outcome, a curl command that verifies, changing and removing."""

from __future__ import annotations

import html
import re
import shlex
from itertools import pairwise

import pytest
from flask import Flask

from app.db import transaction
from app.domain.errors import NotFound
from app.kit import clock, signing
from app.models.events.delivery import Delivery
from app.services.events import audit, webhooks
from tests import desk, shops
from tests.desk import Desk
from tests.shops import Shop

URL, EVENTS = "https://shop.test/hook", ["payment.succeeded", "checkout.completed"]
SECRET = "whsec_" + "c2VjcmV0" * 4


@pytest.fixture
def owner(app: Flask, shop: Shop) -> Desk:
    made = desk.at(app, shop)
    made.confirm("webhooks")
    return made


def deliver(shop: Shop, *statuses: str) -> list[str]:
    """A delivery in each of these states; their ids."""
    shop.pay(shop.session())
    audit.seal()
    with transaction() as db:
        first = db.query(Delivery).filter_by(tenant_id=shop.actor.tenant_id).first()
        assert first is not None
        facts = {c.name: getattr(first, c.name) for c in Delivery.__table__.columns}
        made = [f"dlv_{number}{status}" for number, status in enumerate(statuses)]
        for one, status in zip(made, statuses, strict=True):
            db.add(Delivery(**{**facts, "id": one, "status": status}))
    return made


def listed(at: Desk, show: str) -> set[str]:
    return set(
        re.findall(
            r"/deliveries/(dlv_\d(?:delivered|retry_wait|exhausted))\"", at.get("/webhooks", show=show).text
        )
    )


def test_deliveries_are_told_apart_by_what_came_of_them(owner: Desk, shop: Shop) -> None:
    endpoint, _ = webhooks.create(shop.actor, URL, EVENTS)
    ok, retry, failed = deliver(shop, "delivered", "retry_wait", "exhausted")
    expected = {"successful": {ok}, "retrying": {retry}, "failed": {failed}, "wont": set()}
    assert {show: listed(owner, show) for show in expected} == expected
    webhooks.set_enabled(shop.actor, endpoint.id, False)
    off = {"successful": {ok}, "retrying": set(), "failed": set(), "wont": {retry, failed}}
    assert {show: listed(owner, show) for show in off} == off
    stranger = shops.make("Stranger")
    assert listed(desk.at(owner.client.application, stranger), "wont") == set()


def test_the_curl_command_is_signed_and_shows_no_secret(owner: Desk, app: Flask, shop: Shop) -> None:
    webhooks.create(shop.actor, URL, EVENTS, secret=SECRET)
    [one] = deliver(shop, "delivered")
    page = owner.get(f"/webhooks/deliveries/{one}").text
    command = re.search(r"<code>(curl -i[^<]+)</code>", page)
    assert command is not None and SECRET not in page
    words = shlex.split(html.unescape(command.group(1)))
    assert URL in words and words[-2] == "--data-binary"
    headers = dict(word.split(": ", 1) for before, word in pairwise(words) if before == "-H")
    header, body = headers["Till-Signature"], words[-1].encode()
    assert signing.verify_timestamped(header, body, [SECRET], clock.now())
    assert not signing.verify_timestamped(header, body + b" ", [SECRET], clock.now())
    viewer = desk.at(app, shop, "read_only").get(f"/webhooks/deliveries/{one}").text
    assert "curl" not in viewer and "Send again" not in viewer


def test_an_endpoint_is_changed_and_keeps_its_secret(owner: Desk, shop: Shop) -> None:
    endpoint, _ = webhooks.create(shop.actor, URL, EVENTS, secret=SECRET)
    page = f"/webhooks/{endpoint.id}/edit"
    assert URL in owner.get(page).text
    assert owner.post(page, url="ftp://shop.test", events=EVENTS).status_code == 422
    assert owner.post(page, url=URL).status_code == 422
    moved = owner.post(page, url=URL + "/2", events=["refund.failed"], description="Two")
    assert moved.status_code == 303
    now = webhooks.get(shop.actor, endpoint.id)
    assert (now.url, now.events, now.description) == (URL + "/2", ["refund.failed"], "Two")
    assert webhooks.secrets_of(now) == [SECRET]


def test_removing_is_asked_for_and_confirmed(owner: Desk, app: Flask, shop: Shop) -> None:
    endpoint, _ = webhooks.create(shop.actor, URL, EVENTS)
    page = f"/webhooks/{endpoint.id}/delete"
    assert "/dashboard/confirm?action=webhooks" in desk.at(app, shop, "admin").post(page).location
    assert webhooks.get(shop.actor, endpoint.id).url == URL
    assert "Remove this endpoint?" in owner.get(page).text
    assert owner.post(page).status_code == 303
    with pytest.raises(NotFound):
        webhooks.get(shop.actor, endpoint.id)
