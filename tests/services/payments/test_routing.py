"""Payments on their way to a connector: rules, priorities, tokens, fail-over, the circuit breaker."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from app.connectors import base, registry
from app.connectors.sandbox import book
from app.connectors.sandbox.connector import SandboxConnector
from app.db import reading, transaction
from app.domain.errors import DomainError, Unprocessable
from app.kit.breaker import Breaker
from app.models.events.journal import JournalEntry
from app.models.payments.attempt import Attempt
from app.models.payments.method import PaymentMethod
from app.services.checkout import payment
from app.services.payments import attempts, connector_stats, connectors, failover, intents, methods, routing
from app.services.payments.connectors import ConnectorChange
from app.services.payments.intents import IntentDraft
from app.services.payments.settling import STANDING_ALONE
from tests.accounts import Elsewhere, account, logged, rule
from tests.shops import GOOD, NO_FUNDS, TIMES_OUT_AFTER, TIMES_OUT_BEFORE, Shop, card, later
from tests.statements import counted

pytestmark = pytest.mark.usefixtures("holds", "breaker")

MASTERCARD, FRENCH = "5555555555554444", "4000002500003155"


def confirm(
    shop: Shop, number: str = GOOD, *, amount: int = 5000, currency: str = "GBP", nonce: str = "n"
) -> str:
    """An intent that was confirmed with a card; its id."""
    method = methods.tokenize_card(shop.actor, card(number))
    intent = intents.create(shop.actor, IntentDraft(amount, currency, payment_method_id=method.id))
    intents.confirm(shop.actor, intent.id, nonce=nonce)
    return intent.id


def status(shop: Shop, intent_id: str) -> str:
    return intents.get(shop.actor, intent_id).status


def tries(shop: Shop, intent_id: str) -> list[tuple[str | None, str]]:
    """(connector, status) of each attempt."""
    return [(a.connector_id, a.status) for a in attempts.of_intent(shop.actor, intent_id)]


def in_the_book() -> list[tuple[str, int]]:
    with reading() as db:
        return [tuple(row) for row in db.execute(select(book.payments.c.status, book.payments.c.captured))]


def test_without_a_connector_the_sandbox_needs_none(shop: Shop) -> None:
    assert tries(shop, confirm(shop)) == [(None, "captured")]


def test_rules_and_priorities_choose(shop: Shop) -> None:
    second, first = account(shop.actor, 20), account(shop.actor, 10)
    third = account(shop.actor, 30)
    rule(shop.actor, third, card_brand="mastercard")
    rule(shop.actor, second, currency="EUR", amount_min=10_000)
    assert tries(shop, confirm(shop)) == [(first.id, "captured")]
    assert tries(shop, confirm(shop, MASTERCARD)) == [(third.id, "captured")]
    assert tries(shop, confirm(shop, currency="EUR")) == [(first.id, "captured")]
    assert tries(shop, confirm(shop, currency="EUR", amount=10_000)) == [(second.id, "captured")]


def test_the_shoppers_country_is_that_of_the_bill(shop: Shop) -> None:
    account(shop.actor, 10)
    local = account(shop.actor, 20)
    rule(shop.actor, local, country="FR")
    bill = {"name": "A", "line1": "1 rue", "city": "Paris", "postal_code": "75001", "country": "FR"}
    session = shop.session()
    payment.pay_by_card(shop.actor, session.id, card(GOOD), payment.Order("n", billing_address=bill))
    [attempt] = shop.attempts(session)
    assert (attempt.connector_id, attempt.country) == (local.id, "FR")


def test_where_the_shopper_is_not_known_the_card_tells_its_country(shop: Shop) -> None:
    account(shop.actor, 10)
    local = account(shop.actor, 20)
    method = methods.tokenize_card(shop.actor, card(FRENCH))
    rule(shop.actor, local, country="FR")
    intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
    intents.confirm(shop.actor, intent.id, nonce="n")
    assert tries(shop, intent.id) == [(local.id, "action_required")]
    places = routing.explain(shop.actor, amount=5000, currency="GBP", method=method)
    assert places[0].connector_id == local.id


def test_what_the_risk_rules_ask_for_holds_at_the_next_connector_too(shop: Shop) -> None:
    account(shop.actor, 10, availability="down")
    account(shop.actor, 20)
    intent_id = confirm(shop)
    first, second = attempts.of_intent(shop.actor, intent_id)
    for name in attempts._TERMS:
        assert getattr(first, name) == getattr(second, name), name
    assert second.decision_id is not None
    assert (first.nonce, first.return_nonce) != (second.nonce, second.return_nonce)


def test_a_switched_off_connector_is_not_used_and_the_last_one_leaves_none(shop: Shop) -> None:
    first, second = account(shop.actor, 10), account(shop.actor, 20)
    connectors.change(shop.actor, first.id, ConnectorChange({}, status="disabled"))
    assert tries(shop, confirm(shop)) == [(second.id, "captured")]
    method = methods.tokenize_card(shop.actor, card(GOOD))
    connectors.change(shop.actor, second.id, ConnectorChange({}, status="disabled"))
    with pytest.raises(Unprocessable) as refused:
        shop.pay(shop.session())
    assert refused.value.code == "payment_method_not_supported", "nobody keeps the card"
    intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
    with pytest.raises(Unprocessable) as refused:
        intents.confirm(shop.actor, intent.id, nonce="n")
    assert refused.value.code == "no_connector"
    assert (status(shop, intent.id), tries(shop, intent.id)) == ("requires_confirmation", [])


def test_credentials_reach_the_gateway_and_a_rotation_counts_from_the_next_call(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = account(shop.actor, api_key="first-key")
    seen: list[str] = []
    sell = SandboxConnector.sell

    def spy(self: SandboxConnector, context: base.ConnectorContext, request: base.AuthorizeRequest) -> Any:
        seen.append(context.credentials["api_key"])
        return sell(self, context, request)

    monkeypatch.setattr(SandboxConnector, "sell", spy)
    confirm(shop)
    connectors.rotate(shop.actor, made.id, {"api_key": "second-key"})
    confirm(shop)
    assert seen == ["first-key", "second-key"]


def test_what_was_not_executed_goes_on_at_the_next_connector(shop: Shop) -> None:
    down, up = account(shop.actor, 10, availability="down"), account(shop.actor, 20)
    session = shop.session()
    assert shop.pay(session).status == "completed"
    intent = shop.intent(session)
    first, second = shop.attempts(session)
    assert [(a.connector_id, a.status, a.number) for a in (first, second)] == [
        (down.id, "declined", 1),
        (up.id, "captured", 1),
    ]
    assert first.decline_code == "gateway_unavailable"
    assert intent.attempts == 1, "the shopper's tries are not used up"
    assert in_the_book() == [("captured", 1620)]
    assert logged(shop.actor, up.id)[0].key == f"authorize_{second.id}"
    told = select(JournalEntry).where(JournalEntry.type == "payment.failed_over")
    with reading() as db:
        [entry] = db.scalars(told)
    assert (entry.data["before"]["connector_id"], entry.data["after"]["connector_id"]) == (down.id, up.id)


def test_a_repeat_of_the_same_confirm_asks_for_nothing_more(shop: Shop) -> None:
    account(shop.actor, 10, availability="down")
    account(shop.actor, 20)
    intent_id = confirm(shop, nonce="once")
    intents.confirm(shop.actor, intent_id, nonce="once")
    assert len(tries(shop, intent_id)) == 2
    assert in_the_book() == [("captured", 5000)]


def test_fail_over_is_bounded_and_then_the_shopper_may_try_again(shop: Shop) -> None:
    made = [account(shop.actor, number, availability="down") for number in range(4)]
    intent_id = confirm(shop)
    assert tries(shop, intent_id) == [(row.id, "declined") for row in made[: failover.MAX_CONNECTORS]]
    intent = intents.get(shop.actor, intent_id)
    assert (intent.status, intent.attempts) == ("requires_payment_method", 1)
    assert intent.last_error is not None and intent.last_error["decline_code"] == "gateway_unavailable"
    for row in made:
        connectors.change(shop.actor, row.id, ConnectorChange({}, {"availability": "up"}))
    method_id = intent.payment_method_id
    assert intents.confirm(shop.actor, intent_id, nonce="n2", method_id=method_id).status == "succeeded"
    assert in_the_book() == [("captured", 5000)]


@pytest.mark.parametrize("number", [NO_FUNDS, TIMES_OUT_AFTER, TIMES_OUT_BEFORE])
def test_declines_and_time_outs_never_fail_over(shop: Shop, number: str) -> None:
    first = account(shop.actor, 10)
    account(shop.actor, 20)
    intent_id = confirm(shop, number)
    for seconds in (31, 400):
        with later(seconds):
            payment.sweep()
    assert [connector_id for connector_id, _ in tries(shop, intent_id)] == [first.id]


def test_a_gateway_that_breaks_may_have_executed_so_there_is_no_fail_over(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = account(shop.actor, 10)
    account(shop.actor, 20)

    def broken(*_: object) -> None:
        raise ConnectionResetError("in the middle of it")

    with monkeypatch.context() as patch:
        patch.setattr(SandboxConnector, "sell", broken)
        intent_id = confirm(shop)
    assert tries(shop, intent_id) == [(first.id, "unknown")]
    [row] = logged(shop.actor, first.id)
    assert (row.outcome, row.error) == ("unknown", "ConnectionResetError")


def test_credentials_that_cannot_be_read_executed_nothing(shop: Shop) -> None:
    first, second = account(shop.actor, 10), account(shop.actor, 20)
    with transaction() as db:
        db.merge(first).config = second.config
    intent_id = confirm(shop)
    assert tries(shop, intent_id) == [(first.id, "declined"), (second.id, "captured")]
    assert logged(shop.actor, first.id)[0].error == "credentials_unreadable"


def test_an_account_that_is_deleted_while_it_is_chosen_executes_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = account(shop.actor, 10), account(shop.actor, 20)
    picks = routing.picks

    def meanwhile(*arguments: Any) -> list[routing.Pick]:
        found = picks(*arguments)
        connectors.delete(shop.actor, first.id)
        monkeypatch.setattr(routing, "picks", picks)
        return found

    monkeypatch.setattr(routing, "picks", meanwhile)
    intent_id = confirm(shop)
    assert tries(shop, intent_id) == [(first.id, "declined"), (second.id, "captured")]


def test_an_account_whose_credentials_are_lost_makes_no_token(shop: Shop, elsewhere: None) -> None:
    lost = account(shop.actor, 5, type_="elsewhere", api_key="k1")
    good = account(shop.actor, 10, type_="elsewhere", api_key="k2")
    with transaction() as db:
        db.merge(lost).config = good.config
    assert methods.tokenize_card(shop.actor, card(GOOD)).connector_id == good.id


def test_a_cancel_stops_fail_over(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    account(shop.actor, 10, availability="down")
    account(shop.actor, 20)
    sell = SandboxConnector.sell

    def meanwhile(
        self: SandboxConnector, context: base.ConnectorContext, request: base.AuthorizeRequest
    ) -> Any:
        with reading() as db:
            intent_id = db.get_one(Attempt, request.attempt_id).intent_id
        intents.cancel(shop.actor, intent_id, "user_cancel")
        return sell(self, context, request)

    monkeypatch.setattr(SandboxConnector, "sell", meanwhile)
    intent_id = confirm(shop)
    assert (status(shop, intent_id), len(tries(shop, intent_id))) == ("canceled", 1)
    assert in_the_book() == []


def test_dying_between_fail_over_and_the_next_call_leaves_nothing_behind(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    account(shop.actor, 10, availability="down")
    second = account(shop.actor, 20)
    session = shop.session()

    def die(*arguments: Any) -> None:
        failover_open_next(*arguments)
        raise KeyboardInterrupt

    failover_open_next = failover.open_next
    with monkeypatch.context() as patch:
        patch.setattr(failover, "open_next", die)
        with pytest.raises(KeyboardInterrupt):
            shop.pay(session)
    assert [(a.connector_id, a.status) for a in shop.attempts(session)][1] == (second.id, "submitted")
    for seconds in (31, 120, 600):
        with later(seconds):
            payment.sweep()
    assert [a.status for a in shop.attempts(session)] == ["declined", "not_found"]
    assert shop.read(session).status == "reserved"
    assert shop.pay(session, nonce="again").status == "completed"
    assert in_the_book() == [("captured", 1620)]


def test_somebody_quicker_leaves_fail_over_nothing_to_do(shop: Shop) -> None:
    account(shop.actor, 10)
    account(shop.actor, 20)
    intent_id = confirm(shop)
    [attempt] = attempts.of_intent(shop.actor, intent_id)
    attempt.version -= 1
    method = methods.get(shop.actor, attempt.payment_method_id)
    assert failover.open_next(attempt, method, STANDING_ALONE, "api") is None
    assert len(tries(shop, intent_id)) == 1


def test_sixteen_confirms_at_once_fail_over_once(shop: Shop) -> None:
    account(shop.actor, 10, availability="down")
    account(shop.actor, 20)
    method = methods.tokenize_card(shop.actor, card(GOOD))
    intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))

    def click(number: int) -> str:
        try:
            return intents.confirm(shop.actor, intent.id, nonce=f"tab-{number % 4}").status
        except DomainError as refused:
            return refused.code

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(click, range(16)))
    assert status(shop, intent.id) == "succeeded"
    assert in_the_book() == [("captured", 5000)]
    assert len(tries(shop, intent.id)) == 2


def test_a_token_is_charged_only_where_its_vault_is(shop: Shop, elsewhere: None) -> None:
    """Sandbox accounts share a vault; accounts elsewhere have one each."""
    bound = account(shop.actor, 5, type_="elsewhere", api_key="k1")
    other = account(shop.actor, 10, type_="elsewhere", api_key="k2")
    rule(shop.actor, other)
    rule(shop.actor, account(shop.actor, 1))
    connectors.change(shop.actor, account(shop.actor, 2).id, ConnectorChange({}, status="disabled"))
    method = methods.redirect(shop.actor, "ideal")
    assert (method.connector, method.connector_id) == ("sandbox", None), "the lowest priority made it"
    for row in connectors.list_page(shop.actor).data:
        if row.type == "sandbox":
            connectors.change(shop.actor, row.id, ConnectorChange({}, status="disabled"))
    method = methods.tokenize_card(shop.actor, card(GOOD))
    assert (method.connector, method.connector_id) == ("elsewhere", bound.id)
    intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
    intents.confirm(shop.actor, intent.id, nonce="n")
    assert tries(shop, intent.id) == [(bound.id, "captured")], "though a rule says otherwise"
    connectors.change(shop.actor, bound.id, ConnectorChange({}, status="disabled"))
    second = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
    with pytest.raises(Unprocessable):
        intents.confirm(shop.actor, second.id, nonce="n")


def test_a_token_of_a_deleted_account_is_not_tried_at_the_deployments(
    shop: Shop, elsewhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Elsewhere, "is_deployed", lambda self, mode=None: True, raising=False)
    bound = account(shop.actor, 5, type_="elsewhere", api_key="k1")
    method = methods.tokenize_card(shop.actor, card(GOOD))
    assert method.connector_id == bound.id
    connectors.delete(shop.actor, bound.id)
    places = routing.explain(shop.actor, amount=5000, currency="GBP", method=method)
    assert [place.type for place in places if place.place is not None] == []
    intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
    with pytest.raises(Unprocessable) as refused:
        intents.confirm(shop.actor, intent.id, nonce="n")
    assert refused.value.code == "no_connector"
    assert in_the_book() == []


def test_a_token_that_is_bound_to_no_account_goes_to_any_of_its_type(shop: Shop, elsewhere: None) -> None:
    account(shop.actor, 5, type_="elsewhere", api_key="k1")
    other = account(shop.actor, 10, type_="elsewhere", api_key="k2")
    rule(shop.actor, other)
    method = methods.tokenize_card(shop.actor, card(GOOD))
    with transaction() as db:
        db.get_one(PaymentMethod, method.id).connector_id = None
    intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
    intents.confirm(shop.actor, intent.id, nonce="n")
    assert tries(shop, intent.id) == [(other.id, "captured")]


def test_an_account_makes_its_tokens_with_its_own_credentials(
    shop: Shop, elsewhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    account(shop.actor, 5, type_="elsewhere", api_key="a-distinct-secret")
    seen: list[str] = []
    tokenize = SandboxConnector.tokenize

    def spy(self: SandboxConnector, context: base.ConnectorContext, details: base.CardDetails) -> Any:
        seen.append(context.credentials["api_key"])
        assert "a-distinct-secret" not in repr(context)
        return tokenize(self, context, details)

    monkeypatch.setattr(SandboxConnector, "tokenize", spy)
    methods.tokenize_card(shop.actor, card(GOOD))
    assert seen == ["a-distinct-secret"]


def test_a_connector_of_the_whole_deployment_is_used_only_where_there_is_one(
    shop: Shop, elsewhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`elsewhere` wants credentials: without an account of the merchant's they are the deployment's."""
    method = methods.tokenize_card(shop.actor, card(GOOD))
    with transaction() as db:
        db.get_one(PaymentMethod, method.id).connector = "elsewhere"
    intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
    with pytest.raises(Unprocessable):
        intents.confirm(shop.actor, intent.id, nonce="n")
    for deployed in (False, True):
        monkeypatch.setattr(registry, "_CAPABLE", {})  # the class learns to be deployed
        monkeypatch.setattr(
            Elsewhere, "is_deployed", lambda self, mode=None, is_so=deployed: is_so, raising=False
        )
        if not deployed:
            with pytest.raises(Unprocessable):
                intents.confirm(shop.actor, intent.id, nonce="n")
    assert intents.confirm(shop.actor, intent.id, nonce="n").status == "succeeded"
    assert [a.connector for a in attempts.of_intent(shop.actor, intent.id)] == ["elsewhere"]


def test_a_connector_that_fails_again_and_again_is_tried_last_for_a_while(
    shop: Shop, breaker: Breaker
) -> None:
    down, up = account(shop.actor, 10, availability="down"), account(shop.actor, 20)
    with later(0):
        for _ in range(5):
            assert len(tries(shop, confirm(shop))) == 2
        assert tries(shop, confirm(shop)) == [(up.id, "captured")]
        places = routing.explain(shop.actor, amount=5000, currency="GBP")
        assert [(p.connector_id, p.place, p.reason) for p in places] == [
            (up.id, 1, "priority"),
            (down.id, 2, "resting"),
        ]
    connectors.change(shop.actor, down.id, ConnectorChange({}, {"availability": "up"}))
    with later(31):
        assert tries(shop, confirm(shop)) == [(down.id, "captured")]


def test_the_only_connector_is_tried_however_often_it_failed(shop: Shop) -> None:
    only = account(shop.actor, availability="down")
    for _ in range(6):
        assert tries(shop, confirm(shop)) == [(only.id, "declined")]


def test_explaining_names_each_connector_and_its_reason(shop: Shop, elsewhere: None) -> None:
    method = methods.tokenize_card(shop.actor, card(GOOD))
    plain, ruled, off = account(shop.actor, 10), account(shop.actor, 20), account(shop.actor, 1)
    foreign = account(shop.actor, 2, type_="elsewhere", api_key="k")
    absent = account(shop.actor, 3, type_="adyen")
    to_ruled = rule(shop.actor, ruled, currency="EUR")
    connectors.change(shop.actor, off.id, ConnectorChange({}, status="disabled"))
    found = routing.explain(shop.actor, amount=5000, currency="EUR", method=method)
    assert {(e.connector_id, e.place, e.reason, e.rule_id) for e in found} == {
        (ruled.id, 1, "rule", to_ruled.id),
        (plain.id, 2, "priority", None),
        (off.id, None, "disabled", None),
        (foreign.id, None, "token_elsewhere", None),
        (absent.id, None, "connector_not_installed", None),
    }
    anywhere = routing.explain(shop.actor, amount=5000, currency="GBP", card_brand="visa")
    assert [e.connector_id for e in anywhere if e.place] == [foreign.id, plain.id, ruled.id]


def test_explaining_to_somebody_without_connectors(shop: Shop) -> None:
    [only] = routing.explain(shop.actor, amount=5000, currency="EUR")
    assert (only.connector_id, only.type, only.place, only.reason) == (None, "sandbox", 1, "default")


def test_performance_of_each_connector(shop: Shop) -> None:
    down, up = account(shop.actor, 10, availability="down"), account(shop.actor, 20)
    confirm(shop)
    confirm(shop, NO_FUNDS)
    confirm(shop, TIMES_OUT_AFTER)
    logged(shop.actor, up.id)
    first, second = connector_stats.performance(shop.actor)
    assert (first.connector_id, first.unreachable, first.success_rate) == (down.id, 3, None)
    assert (second.connector_id, second.approved, second.declined, second.undecided) == (up.id, 1, 1, 1)
    assert second.success_rate == 50
    assert second.median_ms is not None and second.p95_ms is not None
    assert second.median_ms <= second.p95_ms
    with later(31 * 24 * 3600):
        assert [p.approved for p in connector_stats.performance(shop.actor)] == [0, 0]


def test_performance_of_the_sandbox_without_an_account(shop: Shop) -> None:
    assert connector_stats.performance(shop.actor) == []
    confirm(shop)
    logged(shop.actor, "sandbox")
    [only] = connector_stats.performance(shop.actor)
    assert (only.connector_id, only.type, only.approved, only.success_rate) == (None, "sandbox", 1, 100)
    assert only.median_ms is not None


@pytest.mark.parametrize("count", [0, 3])
def test_routing_costs_a_confirm_one_statement(shop: Shop, count: int) -> None:
    for number in range(count):
        rule(shop.actor, account(shop.actor, number), currency="EUR")
    confirm(shop)
    method = methods.tokenize_card(shop.actor, card(GOOD))
    intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
    with counted() as sent:
        intents.confirm(shop.actor, intent.id, nonce="n")
    about = [text for text in sent if "routing_rules" in text or "FROM connectors" in text]
    assert len(about) == 1, about
    assert not [text for text in sent if "connector_logs" in text]
