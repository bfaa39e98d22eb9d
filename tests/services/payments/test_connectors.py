"""Connectors: secrets stay secret, credentials rotate, a test has consequences, deletion keeps refunds possible."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.connectors import registry
from app.db import reading, transaction
from app.domain.errors import InvalidRequest, NotFound, Unprocessable, VersionConflict
from app.kit import clock
from app.models.events.journal import JournalEntry
from app.models.payments.connector import ConnectorAccount, RoutingRule
from app.services.operations import connector_configs
from app.services.payments import connectors, gateway, intents, refunds, routing_rules
from app.services.payments.connectors import ConnectorChange, ConnectorDraft
from app.services.payments.routing_rules import RuleDraft
from tests import shops
from tests.accounts import Elsewhere, account, logged, rule
from tests.shops import Shop, later

pytestmark = pytest.mark.usefixtures("holds")

SECRET = "sk_test_51Habcdefghijkl9876"


def stored(connector_id: str) -> ConnectorAccount:
    with reading() as db:
        return db.get_one(ConnectorAccount, connector_id)


def journal(connector_id: str) -> list[tuple[str, dict[str, Any]]]:
    statement = select(JournalEntry).where(JournalEntry.entity_id == connector_id).order_by(JournalEntry.id)
    with reading() as db:
        return [(entry.type, entry.data["after"] or {}) for entry in db.scalars(statement)]


def everything_said(connector_id: str) -> str:
    with reading() as db:
        rows = db.scalars(select(JournalEntry).where(JournalEntry.entity_id == connector_id))
        return repr([entry.data for entry in rows])


def test_a_configuration_is_encrypted_for_its_place_and_masked(shop: Shop) -> None:
    made = account(shop.actor, api_key=SECRET, merchant_account="MA_123")
    row = stored(made.id)
    assert row.config is not None and row.config.startswith("v1:t1:")
    assert SECRET not in row.config
    assert connector_configs.credentials(row) == {"api_key": SECRET, "merchant_account": "MA_123"}
    assert connector_configs.masked(row) == {"api_key": "****9876", "merchant_account": "MA_123"}
    other = account(shop.actor, api_key="k" * 20)
    other.config = row.config
    assert connector_configs.masked(other) == {}, "a copied cell opens nothing"
    assert SECRET not in everything_said(made.id)


def test_a_short_secret_shows_nothing_of_itself(shop: Shop) -> None:
    assert connector_configs.masked(account(shop.actor, api_key="short")) == {"api_key": "****"}


def test_a_type_that_is_not_installed_is_kept_and_never_used(shop: Shop) -> None:
    draft = ConnectorDraft("adyyen-eu", "adyen", {"api_key": SECRET, "merchant_account": "MA_123"}, 10, "EU")
    made = connectors.create(shop.actor, draft)
    assert (made.status, made.status_reason) == ("error", "connector_not_installed")
    assert connector_configs.masked(made) == {"api_key": "****9876", "merchant_account": "MA_123"}
    found, _ = connectors.test(shop.actor, made.id)
    assert not found.ok and "adyen" in found.message
    with pytest.raises(Unprocessable) as refused:
        connectors.change(shop.actor, made.id, ConnectorChange({}, status="active"))
    assert refused.value.code == "connector_not_installed"
    assert shop.pay(shop.session()).status == "completed", "the built-in sandbox stands in"


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"api_kye": SECRET}, "config.api_kye"),
        ({"availability": SECRET}, "config.availability"),
    ],
)
def test_a_configuration_that_its_type_does_not_know_is_refused_without_repeating_it(
    shop: Shop, config: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        account(shop.actor, **config)
    assert refused.value.field == field
    assert SECRET not in repr(refused.value.message) + repr(refused.value.explain)


def test_what_a_type_needs_must_be_there(shop: Shop, elsewhere: None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        account(shop.actor, type_="elsewhere")
    assert refused.value.field == "config.api_key"
    made = account(shop.actor, type_="elsewhere", api_key=SECRET)
    with pytest.raises(InvalidRequest):
        connectors.change(shop.actor, made.id, ConnectorChange({}, {"api_key": None}))
    assert connector_configs.credentials(stored(made.id)) == {"api_key": SECRET}


def test_a_change_merges_and_a_masked_secret_stays(shop: Shop) -> None:
    made = account(shop.actor, api_key=SECRET, merchant_account="MA_123")
    sent: dict[str, str | None] = {"api_key": "****9876", "merchant_account": None, "webhook_secret": " s3 "}
    connectors.change(shop.actor, made.id, ConnectorChange({"name": "Main"}, sent))
    row = stored(made.id)
    assert row.name == "Main"
    assert connector_configs.credentials(row) == {"api_key": SECRET, "webhook_secret": "s3"}
    [_, (type_, said)] = journal(made.id)
    assert (type_, said["config_fields"]) == ("connector.updated", ["merchant_account", "webhook_secret"])


def test_credentials_whose_key_is_lost_can_be_given_anew(shop: Shop) -> None:
    made, other = account(shop.actor, api_key=SECRET), account(shop.actor, api_key="b")
    with transaction() as db:
        db.get_one(ConnectorAccount, made.id).config = other.config
    assert connector_configs.webhook_secrets(made.id) == []
    connectors.rotate(shop.actor, made.id, {"api_key": "given-anew"})
    assert connector_configs.credentials(stored(made.id)) == {"api_key": "given-anew"}


def test_a_type_that_was_installed_later_is_switched_on_when_its_configuration_is_whole(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = account(shop.actor, type_="elsewhere")
    assert made.status == "error"
    monkeypatch.setattr(registry, "_ALL", (*registry._ALL, Elsewhere()))
    with pytest.raises(InvalidRequest):
        connectors.change(shop.actor, made.id, ConnectorChange({}, status="active"))
    connectors.change(shop.actor, made.id, ConnectorChange({}, {"api_key": SECRET}))
    assert (stored(made.id).status, stored(made.id).status_reason) == ("active", None)


def test_an_older_reading_changes_nothing(shop: Shop) -> None:
    made = account(shop.actor)
    connectors.change(shop.actor, made.id, ConnectorChange({"priority": 7}, version=made.version))
    with pytest.raises(VersionConflict):
        connectors.change(shop.actor, made.id, ConnectorChange({"priority": 8}, version=made.version))
    assert stored(made.id).priority == 7


def test_switching_off_and_on(shop: Shop) -> None:
    made = account(shop.actor)
    for wanted in ("disabled", "disabled", "active", "active"):
        assert connectors.change(shop.actor, made.id, ConnectorChange({}, status=wanted)).status == wanted
    assert [type_ for type_, _ in journal(made.id)] == [
        "connector.created",
        "connector.disabled",
        "connector.active",
    ]


def test_rotation_replaces_at_once_and_is_audited_without_the_secret(shop: Shop) -> None:
    made = account(shop.actor, api_key=SECRET)
    fresh = "sk_test_fresh_secret_1234"
    rotated = connectors.rotate(shop.actor, made.id, {"api_key": fresh}, grace_seconds=3600)
    assert connector_configs.credentials(rotated) == {"api_key": fresh}
    assert rotated.previous_config is not None and rotated.previous_until is not None
    [_, (type_, said)] = journal(made.id)
    assert (type_, said["config_fields"], said["grace_seconds"]) == (
        "connector.credentials_rotated",
        ["api_key"],
        3600,
    )
    assert SECRET not in everything_said(made.id) and fresh not in everything_said(made.id)
    with pytest.raises(InvalidRequest):
        connectors.rotate(shop.actor, made.id, {"api_key": fresh})
    with later(3601):
        assert connectors.forget_rotated() == 1
    assert (stored(made.id).previous_config, stored(made.id).previous_until) == (None, None)


def test_webhook_secrets_of_a_rotation(shop: Shop) -> None:
    made = account(shop.actor, webhook_secret="old-secret")
    connectors.rotate(shop.actor, made.id, {"webhook_secret": "new-secret"}, grace_seconds=60)
    assert connector_configs.webhook_secrets(made.id) == ["new-secret", "old-secret"]
    with later(61):
        assert connector_configs.webhook_secrets(made.id) == ["new-secret"]
    connectors.rotate(shop.actor, made.id, {"webhook_secret": "third-secret"})
    assert connector_configs.webhook_secrets(made.id) == ["third-secret"]
    with transaction() as db:
        lost = db.get_one(ConnectorAccount, made.id)
        lost.previous_config, lost.previous_until = "v1:lost:AAAA", clock.now() + timedelta(hours=1)
    assert connector_configs.webhook_secrets(made.id) == ["third-secret"], "a lost one hides no good one"


def test_a_rotated_secret_whose_key_is_lost_is_none(shop: Shop) -> None:
    made, other = account(shop.actor, webhook_secret="old-secret"), account(shop.actor, api_key="b")
    connectors.rotate(shop.actor, made.id, {"webhook_secret": "new-secret"}, grace_seconds=60)
    with transaction() as db:
        db.get_one(ConnectorAccount, made.id).previous_config = other.config
    assert connector_configs.webhook_secrets(made.id) == ["new-secret"]


def test_a_test_of_refused_credentials_takes_it_out_and_new_ones_put_it_back(shop: Shop) -> None:
    made = account(shop.actor, availability="unauthorized")
    found, _ = connectors.test(shop.actor, made.id)
    assert not found.ok
    row = stored(made.id)
    assert (row.status, row.status_reason) == ("error", "credentials_refused")
    assert row.last_test is not None and row.last_test["ok"] is False
    connectors.rotate(shop.actor, made.id, {"availability": "up"})
    assert (stored(made.id).status, stored(made.id).status_reason) == ("active", None)
    assert connectors.test(shop.actor, made.id)[0].ok
    assert [(row.operation, row.outcome) for row in logged(shop.actor, made.id)] == [
        ("test", "refused"),
        ("test", "ok"),
    ]


def test_a_gateway_that_is_away_for_a_moment_stays_in_use(shop: Shop) -> None:
    made = account(shop.actor, availability="down")
    assert not connectors.test(shop.actor, made.id)[0].ok
    assert stored(made.id).status == "active"


def test_a_test_about_credentials_that_were_replaced_meanwhile_has_no_say(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = account(shop.actor, availability="unauthorized")
    ping = connectors.gateway.ping

    def slow(row: ConnectorAccount) -> Any:
        found = ping(row)
        connectors.rotate(shop.actor, made.id, {"availability": "up"})
        return found

    monkeypatch.setattr(connectors.gateway, "ping", slow)
    assert not connectors.test(shop.actor, made.id)[0].ok
    assert stored(made.id).status == "active"


def test_a_connector_that_breaks_in_its_test_is_a_failed_test(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.connectors.sandbox import availability

    def broken(context: object) -> None:
        raise RuntimeError(SECRET)

    made = account(shop.actor)
    monkeypatch.setattr(availability, "ping", broken)
    lines: list[Any] = []
    monkeypatch.setattr(gateway.log, "error", lambda event, **said: lines.append((event, said)))
    found, _ = connectors.test(shop.actor, made.id)
    assert [event for event, _ in lines] == ["gateway_call_broke"]
    assert SECRET not in repr(lines)
    assert (found.ok, found.message) == (False, "The connector failed: RuntimeError")


def test_deleting_one_that_was_used_keeps_what_refunds_need(shop: Shop) -> None:
    made = account(shop.actor, api_key=SECRET)
    leads = rule(shop.actor, made, currency="GBP")
    session = shop.session()
    assert shop.pay(session).status == "completed"
    connectors.delete(shop.actor, made.id)
    with reading() as db:
        assert db.get(RoutingRule, leads.id) is None
    for look in (connectors.get, connectors.delete):
        with pytest.raises(NotFound):
            look(shop.actor, made.id)
    refund = refunds.create(shop.actor, shop.intent(session).id)
    refunds.send(refund.id)
    assert refunds.get(shop.actor, refund.id).status == "succeeded"
    assert [row.operation for row in logged(shop.actor, made.id)] == ["authorize", "capture", "refund"]
    assert shop.pay(shop.session()).status == "completed", "new payments go elsewhere"


def test_deleting_one_that_was_never_used_destroys_its_credentials(shop: Shop) -> None:
    made = account(shop.actor, api_key=SECRET)
    connectors.delete(shop.actor, made.id)
    assert (stored(made.id).config, stored(made.id).previous_config) == (None, None)
    assert [type_ for type_, _ in journal(made.id)][-1] == "connector.deleted"


def test_another_merchant_and_the_other_mode_see_nothing(shop: Shop) -> None:
    made = account(shop.actor)
    leads = rule(shop.actor, made)
    stranger = shops.make("Stranger").actor
    live = shops.system_actor(shop.actor.tenant, "live")
    for actor in (stranger, live):
        for look in (
            lambda actor=actor: connectors.get(actor, made.id),
            lambda actor=actor: connectors.change(actor, made.id, ConnectorChange({"priority": 1})),
            lambda actor=actor: connectors.rotate(actor, made.id, {"api_key": "x"}),
            lambda actor=actor: connectors.test(actor, made.id),
            lambda actor=actor: connectors.delete(actor, made.id),
            lambda actor=actor: routing_rules.create(actor, RuleDraft({}, made.id)),
            lambda actor=actor: routing_rules.change(actor, leads.id, {"priority": 1}),
            lambda actor=actor: routing_rules.delete(actor, leads.id),
        ):
            with pytest.raises(NotFound):
                look()
        assert connectors.list_page(actor).data == []
        assert routing_rules.list_page(actor).data == []


def test_there_is_a_bound(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectors, "MAX_CONNECTORS", 1)
    monkeypatch.setattr(routing_rules, "MAX_RULES", 1)
    made = account(shop.actor)
    rule(shop.actor, made)
    with pytest.raises(Unprocessable):
        account(shop.actor)
    with pytest.raises(Unprocessable):
        rule(shop.actor, made)


def test_pages(shop: Shop) -> None:
    ids = [account(shop.actor, number).id for number in range(5)]
    first = connectors.list_page(shop.actor, limit=3)
    second = connectors.list_page(shop.actor, limit=3, cursor=first.next_cursor)
    assert [row.id for row in first.data + second.data] == ids[::-1]
    assert (first.has_more, second.has_more) == (True, False)
    connectors.change(shop.actor, ids[2], ConnectorChange({}, status="disabled"))
    assert [row.id for row in connectors.list_page(shop.actor, status="disabled").data] == [ids[2]]


def test_an_intent_confirmed_through_an_account_names_it(shop: Shop) -> None:
    made = account(shop.actor)
    session = shop.session()
    shop.pay(session)
    assert [(a.connector, a.connector_id) for a in shop.attempts(session)] == [("sandbox", made.id)]
    assert intents.get(shop.actor, shop.intent(session).id).status == "succeeded"
