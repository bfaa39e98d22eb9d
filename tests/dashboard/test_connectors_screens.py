"""Connectors and routing at the dashboard: forms from the schema, secrets that never come back, the tester."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.db import reading
from app.models.events.journal import JournalEntry
from app.models.payments.connector import ConnectorAccount, RoutingRule
from app.services.operations import connector_configs
from app.services.payments import connectors
from tests import shops
from tests.accounts import account, logged, rule
from tests.desk import Desk, enter
from tests.shops import Shop

SECRET = "sk_test_neverShownAgain42"


@pytest.fixture
def owner(client: FlaskClient, shop: Shop) -> Desk:
    """The owner, signed in and stepped up."""
    desk = enter(client, shop)
    desk.confirm("connectors")
    return desk


def rows(model: Any) -> list[Any]:
    with reading() as db:
        return list(db.scalars(select(model).order_by(model.id)))


def test_a_form_is_drawn_from_the_schema_and_a_secret_never_comes_back(owner: Desk, shop: Shop) -> None:
    assert "Which gateway?" in owner.page("/connectors/new")
    form = owner.page("/connectors/new?type=stripe")
    assert 'name="config.secret_key"' in form and "sk_… or a restricted rk_…" in form
    assert form.count('type="password"') == 2
    given = {"type": "stripe", "name": "Stripe UK", "priority": "10", "config.secret_key": "wrong"}
    bad = owner.post("/connectors", **given)
    assert (
        bad.status_code == 422 and "Secret key has another form: sk_…" in bad.text and "Stripe UK" in bad.text
    )
    assert 'value="wrong"' not in bad.text and rows(ConnectorAccount) == []
    made = owner.post("/connectors", **{**given, "config.secret_key": SECRET})
    assert made.status_code == 303
    [row] = rows(ConnectorAccount)
    assert (row.type, row.name, row.priority) == ("stripe", "Stripe UK", 10)
    assert connector_configs.credentials(row) == {"secret_key": SECRET}
    place = f"/connectors/{row.id}"
    for path in ("/connectors", place, place + "/edit", place + "/credentials"):
        assert SECRET not in owner.page(path), path
    assert "****in42" in owner.page(place)
    assert SECRET not in str([entry.data for entry in rows(JournalEntry)])


def test_settings_change_and_secrets_stay(owner: Desk, shop: Shop) -> None:
    row = account(shop.actor, 50, api_key="the-sandbox-key-1", availability="up")
    place = f"/connectors/{row.id}/edit"
    assert "the-sandbox-key-1" not in owner.page(place)
    changed = {"name": "Main", "priority": "7", "config.availability": "down", "version": str(row.version)}
    assert owner.post(place, **{**changed, "priority": "x"}).status_code == 422
    assert owner.post(place, **changed).status_code == 303
    now = connectors.get(shop.actor, row.id)
    assert (now.name, now.priority) == ("Main", 7)
    config = connector_configs.credentials(now)
    assert (config["availability"], config["api_key"]) == ("down", "the-sandbox-key-1")
    late = owner.post(place, **{**changed, "name": "Lost"})
    assert late.status_code == 409 and connectors.get(shop.actor, row.id).name == "Main"


def test_new_credentials_count_at_once_and_the_old_ones_for_webhooks(owner: Desk, shop: Shop) -> None:
    row = account(shop.actor, webhook_secret="the-old-secret-12", api_key="kept-kept-kept")
    place = f"/connectors/{row.id}/credentials"
    nothing = owner.post(place)
    assert nothing.status_code == 422 and "at least one new value" in nothing.text
    answer = owner.post(place, **{"config.webhook_secret": "the-new-secret-34", "grace": "1h"})
    assert answer.status_code == 303
    assert connector_configs.webhook_secrets(row.id) == ["the-new-secret-34", "the-old-secret-12"]
    assert connector_configs.credentials(connectors.get(shop.actor, row.id))["api_key"] == "kept-kept-kept"
    page = owner.page(f"/connectors/{row.id}")
    assert "the old secret are taken until" in page and "the-new-secret-34" not in page
    with shops.later(3601):
        assert connector_configs.webhook_secrets(row.id) == ["the-new-secret-34"]


def test_a_test_says_what_it_found_and_calls_are_listed(owner: Desk, shop: Shop) -> None:
    row = account(shop.actor, availability="unauthorized")
    place = f"/connectors/{row.id}"
    assert owner.post(place + "/test").status_code == 303
    assert connectors.get(shop.actor, row.id).status == "error"
    logged(shop.actor, row.id)
    page = owner.page(place)
    assert "Its credentials were refused" in page and "<td>test</td>" in page
    assert "<td>test</td>" not in owner.page(place + "?outcome=approved")


def test_a_connector_is_switched_off_and_on_and_removed_after_it_was_said_what_that_does(
    owner: Desk, shop: Shop
) -> None:
    row = account(shop.actor)
    rule(shop.actor, row, currency="GBP")
    place = f"/connectors/{row.id}"
    assert "New payments go to the next connector" in owner.page(place + "/disable")
    assert owner.post(place + "/disable").status_code == 303
    assert connectors.get(shop.actor, row.id).status == "disabled"
    assert owner.post(place + "/enable").status_code == 303
    assert connectors.get(shop.actor, row.id).status == "active"
    assert "1 routing rule that leads to it is deleted" in owner.page(place + "/delete")
    assert owner.post(place + "/delete").status_code == 303
    assert rows(RoutingRule) == [] and rows(ConnectorAccount)[0].config is None
    owner.page(place, 404)


def test_connectors_want_a_step_up(client: FlaskClient, shop: Shop) -> None:
    row = account(shop.actor)
    desk = enter(client, shop)
    for path in ("/new", f"/{row.id}/edit", f"/{row.id}/credentials", f"/{row.id}/disable"):
        answer = desk.get(f"/connectors{path}")
        assert answer.status_code == 303 and "confirm?action=connectors" in answer.location, path
    answer = desk.post("/connectors", type="sandbox", name="X", priority="1")
    assert "confirm?action=connectors" in answer.location
    for path in ("edit", "credentials", "disable", "delete"):
        assert "confirm" in desk.post(f"/connectors/{row.id}/{path}").location
    assert [(found.id, found.version) for found in rows(ConnectorAccount)] == [(row.id, row.version)]


def test_no_rule_leads_to_another_merchants_connector(client: FlaskClient, shop: Shop) -> None:
    theirs = account(shops.make("Stranger").actor)
    desk = enter(client, shop)
    assert desk.post("/routing", connector_id=theirs.id, priority="1").status_code == 404
    assert rows(RoutingRule) == []


def test_the_tester_says_which_connector_a_payment_takes_and_why(owner: Desk, shop: Shop) -> None:
    first, second = account(shop.actor, 10), account(shop.actor, 20)
    connectors.change(shop.actor, first.id, connectors.ConnectorChange({"name": "First"}))
    connectors.change(shop.actor, second.id, connectors.ConnectorChange({"name": "Second"}))
    page = owner.page("/routing?amount=25.00&currency=EUR")
    assert "It would be tried at First first" in page
    new = {"currency": "eur", "country": "de", "amount_min": "20", "connector_id": second.id}
    bad = owner.post("/routing", **{**new, "currency": "EURO"}, priority="5")
    assert bad.status_code == 422 and "Enter a currency like GBP" in bad.text
    bare = owner.post("/routing", amount_min="20", connector_id=second.id, priority="5")
    assert bare.status_code == 422 and "Amounts need a currency" in bare.text
    upside_down = owner.post("/routing", **new, amount_max="10", priority="5")
    assert upside_down.status_code == 422 and "amount_min is over amount_max" in upside_down.text
    assert rows(RoutingRule) == []
    assert owner.post("/routing", **new, priority="5").status_code == 303
    [made] = rows(RoutingRule)
    assert made.match == {"currency": "EUR", "country": "DE", "amount_min": 2000}
    page = owner.page("/routing?amount=25.00&currency=EUR&country=DE")
    assert "It would be tried at Second first" in page and "A rule sends it here" in page
    assert "at First first" in owner.page("/routing?amount=19.99&currency=EUR&country=DE")
    wrong = owner.page("/routing?amount=lots&currency=EUR", 422)
    assert "Enter an amount like 12.50" in wrong
    changed = {**new, "amount_min": "30", "priority": "6", "version": str(made.version)}
    assert owner.post(f"/routing/{made.id}", **changed).status_code == 303
    assert rows(RoutingRule)[0].match["amount_min"] == 3000
    assert owner.post(f"/routing/{made.id}", **changed).status_code == 409
    assert owner.post(f"/routing/{made.id}/delete").status_code == 303
    assert rows(RoutingRule) == []
