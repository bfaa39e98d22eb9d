"""Every confirm is scored before the gateway hears of it: allow, challenge, deny, and what each leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from app.connectors.sandbox import challenges
from app.db import engine, reading
from app.domain.errors import Unprocessable
from app.domain.rules.fraud import Action
from app.models.payments.method import PaymentMethod
from app.models.risk.fraud_decision import FraudDecision
from app.services.checkout import payment
from app.services.events import audit
from app.services.payments import attempts, driver, intents, methods
from app.services.payments.intents import IntentDraft
from app.services.risk import fraud, screening, usual
from app.services.risk.screening import Screening
from tests import risks
from tests.buyers import together
from tests.risks import BLOCKED, ELEVATED, GERMAN, HERE, HIGHEST
from tests.shops import CHALLENGED, GOOD, NO_FUNDS, Shop, card, later
from tests.statements import counted

pytestmark = pytest.mark.usefixtures("holds")


def test_a_good_payment_is_allowed_and_its_score_stays_with_it(shop: Shop) -> None:
    intent = risks.confirm(shop, risks.intent_of(shop))
    assert intent.status == "succeeded"
    [decision] = risks.decisions(intent)
    assert (decision.action, decision.score, decision.provider) == ("allow", 0, "builtin")
    assert intent.risk is not None
    assert intent.risk["decision_id"] == decision.id
    [attempt] = attempts.of_intent(shop.actor, intent.id)
    assert (attempt.decision_id, attempt.force_three_ds, attempt.block_code) == (decision.id, False, None)
    [told] = risks.facts(intent, "fraud.decided")
    assert told.entity_id == decision.id
    assert (told.data["object"]["score"], told.data["object"]["action"]) == (0, "allow")


def test_a_denied_card_is_a_generic_decline_that_no_gateway_hears_of(shop: Shop) -> None:
    session = shop.session()
    assert shop.pay(session, BLOCKED, "first").status == "reserved"
    intent = shop.intent(session)
    assert (intent.status, intent.attempts) == ("requires_payment_method", 1)
    assert intent.last_error is not None
    assert intent.last_error["code"] == intent.last_error["decline_code"] == "fraud_block"
    assert "fraud" not in intent.last_error["explain"]["message"]
    [attempt] = shop.attempts(session)
    assert (attempt.status, attempt.decline_code, attempt.gateway_reference) == (
        "declined",
        "fraud_block",
        None,
    )
    assert risks.at_the_gateway() == []
    assert len(risks.facts(intent, "payment.failed")) == 1
    assert shop.pay(session, GOOD, "second").status == "completed"
    assert [row.action for row in risks.decisions(intent)] == ["deny", "allow"]


def test_denials_use_up_the_attempts_and_end_the_session_as_fraud(shop: Shop) -> None:
    session = shop.session()
    for number in range(5):
        shop.pay(session, BLOCKED, f"try-{number}")
    ended = shop.read(session)
    assert (ended.status, ended.failure_reason) == ("failed", "fraud")
    assert shop.left("MUG") == (100, 0, 0)
    assert risks.at_the_gateway() == []


def test_a_process_that_dies_after_a_denial_asks_no_gateway_when_it_is_found(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = shop.session()
    monkeypatch.setattr(driver, "drive", lambda *_, **__: None)
    assert shop.pay(session, BLOCKED).status == "payment_processing"
    monkeypatch.undo()
    payment.look_again(shop.attempts(session)[0].id, "sweep")
    assert shop.read(session).status == "reserved"
    assert shop.attempts(session)[0].decline_code == "fraud_block"
    assert risks.at_the_gateway() == []


def test_a_challenge_is_taken_at_the_banks_page(shop: Shop) -> None:
    session = shop.session()
    assert shop.pay(session, ELEVATED).status == "payment_processing"
    intent = shop.intent(session)
    assert intent.next_action is not None
    assert intent.next_action["type"] == "3ds_challenge"
    [decision] = risks.decisions(intent)
    assert (decision.action, decision.score) == ("challenge", 65)
    challenges.answer(str(intent.next_action["url"]).rsplit("/", 1)[1], "123456")
    payment.resume(shop.attempts(session)[0].return_nonce)
    assert shop.read(session).status == "completed"
    assert shop.attempts(session)[0].three_ds_result == "authenticated"


def test_the_three_ds_policy_is_kept_to(shop: Shop) -> None:
    for choice, number, status in (
        ("always", GOOD, "requires_action"),
        ("automatic", GOOD, "succeeded"),
        ("never", GOOD, "succeeded"),
        ("never", ELEVATED, "succeeded"),
        ("never", CHALLENGED, "requires_action"),
    ):
        chosen = risks.choose(shop, three_ds_policy=choice)
        assert risks.confirm(chosen, risks.intent_of(chosen), number).status == status, (choice, number)


def test_a_redirect_method_has_no_three_ds_to_force(shop: Shop) -> None:
    shop = risks.choose(shop, three_ds_policy="always")
    session = shop.session()
    payment.pay_by_redirect(shop.actor, session.id, "ideal", payment.Order("n1"))
    assert shop.attempts(session)[0].force_three_ds is False
    assert shop.intent(session).next_action["type"] == "redirect_to_url"  # type: ignore[index]


def test_off_session_a_challenge_is_a_decline_that_no_gateway_hears_of(shop: Shop) -> None:
    intent = risks.intent_of(shop, customer_id="cust_1")
    method = risks.reusable(shop, ELEVATED)
    ended = intents.confirm(shop.actor, intent.id, nonce="n1", method_id=method, off_session=True)
    assert ended.status == "failed"
    assert ended.last_error is not None
    assert ended.last_error["decline_code"] == "authentication_required"
    assert risks.at_the_gateway() == []


def test_off_session_nobody_can_be_asked_even_where_the_policy_is_always(shop: Shop) -> None:
    shop = risks.choose(shop, three_ds_policy="always")
    intent = risks.intent_of(shop, customer_id="cust_1")
    method = risks.reusable(shop)
    paid = intents.confirm(shop.actor, intent.id, nonce="n1", method_id=method, off_session=True)
    assert paid.status == "succeeded"


def test_off_session_a_decline_is_final(shop: Shop) -> None:
    intent = risks.intent_of(shop, customer_id="cust_1")
    method = risks.reusable(shop, NO_FUNDS)
    assert (
        intents.confirm(shop.actor, intent.id, nonce="n1", method_id=method, off_session=True).status
        == "failed"
    )


def test_off_session_needs_a_method_that_was_left_for_that(shop: Shop) -> None:
    intent = risks.intent_of(shop)
    with pytest.raises(Unprocessable) as refused:
        risks.confirm(shop, intent, off_session=True)
    assert refused.value.code == "consent_required"
    assert risks.decisions(intent) == []


def test_an_override_decides_and_of_sixteen_at_once_each_is_told_and_one_stands(shop: Shop) -> None:
    intent = risks.confirm(shop, risks.intent_of(shop), HIGHEST)
    actions = [Action.ALLOW, Action.DENY] * 8
    done = together(16, lambda n: fraud.override(shop.actor, actions[n], "why", intent_id=intent.id))
    assert all(isinstance(one, FraudDecision) for one in done), done
    [decision] = risks.decisions(intent)
    told = risks.facts(intent, "fraud.overridden")
    assert len(told) == 16
    risk = intents.get(shop.actor, intent.id).risk
    assert risk is not None
    assert risk["override"] == {"decision_id": decision.id, "action": decision.override_action}
    paid = risks.confirm(shop, intent, HIGHEST, "n2")
    assert (paid.status == "succeeded") == (decision.override_action == "allow")


def test_marks_weights_and_switched_off_rules_are_the_merchants(shop: Shop) -> None:
    shop = risks.choose(shop, fraud={"deny_from": 101})
    assert risks.confirm(shop, risks.intent_of(shop), HIGHEST).status == "requires_action"
    shop = risks.choose(shop, fraud={"rules": {"elevated_risk_card": {"weight": 95}}})
    assert risks.confirm(shop, risks.intent_of(shop), ELEVATED).last_error["code"] == "fraud_block"  # type: ignore[index]
    shop = risks.choose(shop, fraud={"rules": {"elevated_risk_card": {"enabled": False}}})
    assert risks.confirm(shop, risks.intent_of(shop), ELEVATED).status == "succeeded"


def test_an_amount_far_over_the_usual_counts(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usual, "MIN_HISTORY", 2)
    for _ in range(2):
        paid = risks.confirm(shop, risks.intent_of(shop, 1000))
        assert paid.risk is not None and paid.risk["reasons"] == []
    with later(usual.KEEP_SECONDS + 1):
        paid = risks.confirm(shop, risks.intent_of(shop, 10_000))
        euros = intents.create(shop.actor, IntentDraft(10_000, "EUR"))
        other = risks.confirm(shop, euros)
    assert paid.risk is not None and other.risk is not None
    assert [reason["code"] for reason in paid.risk["reasons"]] == ["amount_far_over_usual"]
    assert risks.decisions(paid)[0].inputs["usual_amount"] == 1000
    assert other.risk["reasons"] == []


def test_a_checkouts_countries_and_mail_box_count(shop: Shop) -> None:
    session = shop.session()
    order = payment.Order("n1", email="x@mailinator.com", billing_address={"country": "gb"})
    actor = risks.shopper(shop, session.id)
    payment.pay_by_card(actor, session.id, card(GERMAN), order)
    [decision] = risks.decisions(shop.intent(session))
    assert {reason["code"] for reason in decision.reasons} == {"card_country_mismatch", "disposable_email"}
    assert decision.score == 45
    assert decision.inputs["address"] == "81.2.69.0/24"


def test_what_is_kept_names_nobody(shop: Shop) -> None:
    session = shop.session()
    order = payment.Order("n1", email="ann@example.com")
    payment.pay_by_card(risks.shopper(shop, session.id), session.id, card(GOOD), order)
    intent = shop.intent(session)
    [attempt] = shop.attempts(session)
    [row] = risks.decisions(intent)
    [told] = risks.facts(intent, "fraud.decided")
    for text in (str(row.inputs), str(intent.risk), str(told.data), str(attempt.counted_in)):
        assert HERE not in text
        assert "ann@" not in text
        assert "4242" not in text


def test_the_vault_keeps_hashes_that_are_equal_for_one_card_at_one_merchant(shop: Shop) -> None:
    first, again = (methods.tokenize_card(shop.actor, card(GOOD)) for _ in range(2))
    other_card = methods.tokenize_card(shop.actor, card(ELEVATED))
    assert first.fingerprint == again.fingerprint != other_card.fingerprint
    assert first.prefix_hash == again.prefix_hash != first.fingerprint
    stranger = risks.another()
    theirs = methods.tokenize_card(stranger.actor, card(GOOD))
    assert theirs.fingerprint not in (None, first.fingerprint)
    assert methods.tokenize_card(shop.actor, card(GERMAN)).country == "DE"
    with reading() as db:
        kept = db.get_one(PaymentMethod, first.id)
    assert len(kept.fingerprint or "") == 64


def test_screening_adds_a_statement_to_a_confirm(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision goes with the other rows, where a database takes them together."""
    alone = 2 if engine().dialect.name == "sqlite" else 1
    order = payment.Order("n1", email="ann@example.com")

    def buy() -> list[str]:
        session = shop.session()
        actor = risks.shopper(shop, session.id)
        with counted() as sent:
            assert payment.pay_by_card(actor, session.id, card(GOOD), order).status == "completed"
        return sent

    buy()  # the usual amount is looked up once a minute
    screened = buy()
    monkeypatch.setattr(attempts, "screen", lambda *_, **__: Screening("dec_none", False, None, []))
    plain = buy()
    assert len(screened) == len(plain) + alone, screened
    ours = [text for text in screened if "velocity_counters" in text or "fraud_decisions" in text]
    assert [text.split(maxsplit=1)[0] for text in ours] == ["INSERT", "INSERT" if alone == 2 else "WITH"]


def test_declines_in_short_time_make_the_next_try_a_challenge(shop: Shop) -> None:
    seen: list[Any] = []
    for number in range(7):
        intent = risks.intent_of(shop, customer_id="cust_9")
        done = risks.confirm(shop, intent, NO_FUNDS if number < 4 else GOOD)
        seen.append([reason["code"] for reason in done.risk["reasons"]])  # type: ignore[index]
    assert seen[:3] == [[], [], []]
    assert seen[3:5] == [["repeated_declines"]] * 2
    assert seen[5:] == [["customer_velocity", "repeated_declines"]] * 2


def test_a_gateway_that_could_not_be_reached_is_no_decline_of_the_buyers(shop: Shop) -> None:
    intent = risks.confirm(shop, risks.intent_of(shop, customer_id="cust_9"), NO_FUNDS)
    [attempt] = attempts.of_intent(shop.actor, intent.id)
    assert attempt.counted_in
    with reading() as db:
        before = db.execute(risks.counters()).all()
        attempt.decline_code = "gateway_unavailable"
        screening.note_decline(db, attempt)
        assert db.execute(risks.counters()).all() == before


def test_a_rule_that_breaks_lets_the_merchants_choice_decide(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("app.providers.builtin.fraud.evaluate", broken)
    for choice, status in (
        ("challenge", "requires_action"),
        ("allow", "succeeded"),
        ("deny", "requires_payment_method"),
    ):
        chosen = risks.choose(shop, fraud={"on_failure": choice})
        intent = risks.confirm(chosen, risks.intent_of(chosen))
        assert intent.status == status
        [decision] = risks.decisions(intent)
        assert (decision.problem, decision.action) == ("ZeroDivisionError", choice)
        [told] = risks.facts(intent, "fraud.provider_failed")
        assert told.data["object"]["problem"] == "ZeroDivisionError"


def test_decisions_are_in_the_audit_chain(shop: Shop) -> None:
    intent = risks.confirm(shop, risks.intent_of(shop))
    audit.seal()
    [told] = risks.facts(intent, "fraud.decided")
    assert told.sequence is not None
    with reading() as db:
        assert db.get_one(FraudDecision, told.entity_id).intent_id == intent.id
