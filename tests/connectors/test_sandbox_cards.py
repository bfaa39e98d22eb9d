"""Every test card of the sandbox does what its row says (the table of the sandbox's design)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from app.connectors import base
from app.connectors.sandbox import challenges
from app.connectors.sandbox.banks import ACCOUNTS
from app.connectors.sandbox.cards import BY_NUMBER, CARDS, Behaviour
from app.connectors.sandbox.connector import SandboxConnector
from app.domain.rules.cards import passes_luhn
from app.kit import clock
from tests.connectors.conftest import Caller, context, in_the_book
from tests.shops import later

#: The published outcomes, written down a second time: number → decline code.
DECLINES = {
    "4000000000000002": "generic_decline",
    "4000000000009995": "insufficient_funds",
    "4000000000009987": "lost_card",
    "4000000000009979": "stolen_card",
    "4000000000006975": "card_velocity_exceeded",
    "4000000000000069": "expired_card",
    "4000000000000127": "incorrect_cvc",
    "4000000000000119": "processing_error",
    "4000000000000341": "generic_decline",
    "4100000000000019": "fraudulent",
    "4000008400001280": "generic_decline",
}
APPROVES = [
    "4242424242424242",
    "5555555555554444",
    "378282246310005",
    "4000000000004954",
    "4000000000009235",
    "4000000000000101",
    "4000000000000036",
    "4000000000003055",
    "4000000000003097",
    "4000000000000259",
    "4000000000002685",
    "4000000000001976",
    "4000000000005423",
    "4000000000007726",
    "4000000000005126",
    "4000000000000077",
    "4000009990000039",
    "4000009990000047",
    "4000009990000054",
    "4000009990007703",
    "4000009990007711",
    "4000009990007729",
    "4000009990007737",
]
CHALLENGES = [
    "4000000000003220",
    "4000000000003063",
    "4000002760003184",
    "4000002500003155",
    "4000003800000446",
    "4000008260003178",
    "4000008400001629",
]
FAULTS = ["4000009990000013", "4000009990000021", "4000009990000062", "4000009990000070"]


def test_every_card_of_the_table_is_here_and_only_those() -> None:
    known = {*DECLINES, *APPROVES, *CHALLENGES, *FAULTS, "4242424242424241"}
    assert known == {card.number for card in CARDS} == set(BY_NUMBER)
    assert len(CARDS) == len(known)


def test_numbers_are_card_numbers_but_for_the_one_that_is_not() -> None:
    wrong = [card.number for card in CARDS if not passes_luhn(card.number)]
    assert wrong == ["4242424242424241"]
    assert all(card.brand in {"VISA", "MASTERCARD", "AMEX"} for card in CARDS)


def test_approving_cards(sandbox: Caller) -> None:
    seen = {}
    for number in APPROVES:
        approved = sandbox.authorize(sandbox.card(number))
        captured = sandbox.capture(approved.reference)
        seen[number] = (approved.amount, approved.facts.response_code, type(captured))
    assert seen == dict.fromkeys(APPROVES, (1500, "00", base.Approved))


def test_declining_cards(sandbox: Caller) -> None:
    seen, found, responses = {}, {}, set()
    for number in DECLINES:
        declined = sandbox.authorize(sandbox.card(number), f"authorize_{number[-6:]}")
        assert isinstance(declined, base.Declined)
        seen[number] = declined.code
        found[number] = sandbox.find(f"authorize_{number[-6:]}").decline_code
        responses.add(declined.facts.response_code)
    assert seen == found == DECLINES
    assert responses == {"05", "41", "43", "51", "54", "59", "65", "82", "96"}


@pytest.mark.parametrize("number", CHALLENGES)
def test_challenging_cards(sandbox: Caller, number: str) -> None:
    asked = sandbox.authorize(sandbox.card(number), "authorize_1")
    assert isinstance(asked, base.ActionRequired)
    assert asked.action.type == base.ActionType.THREE_DS_CHALLENGE
    assert asked.action.url is not None
    assert asked.action.url.startswith("http://shop.test/sandbox/acs/")
    assert asked.action.expires_at is not None
    assert sandbox.find("authorize_1").action == asked.action
    challenges.answer(asked.action.url.rsplit("/", 1)[1], "123456")
    found = sandbox.find("authorize_1")
    outcome = {
        "4000008260003178": ("declined", "insufficient_funds"),
        "4000008400001629": ("declined", "generic_decline"),
    }.get(number, ("authorized", None))
    assert (found.status, found.decline_code) == outcome
    assert found.facts.three_ds_result == "authenticated"


def test_without_the_shopper_there_is_nobody_to_ask(sandbox: Caller) -> None:
    off_session = {
        "4000000000003220": "authentication_required",
        "4000002760003184": "authentication_required",
        "4000008260003178": "authentication_required",
        "4000002500003155": "authentication_required",
        "4000003800000446": None,
        "4242424242424242": None,
    }
    answers = {n: sandbox.authorize(sandbox.card(n), off_session=True) for n in off_session}
    assert {number: getattr(answer, "code", None) for number, answer in answers.items()} == off_session
    assert isinstance(answers["4000003800000446"], base.Approved)


def test_a_card_that_was_set_up_is_not_asked_again(sandbox: Caller) -> None:
    token = sandbox.card("4000002500003155")
    asked = sandbox.authorize(token)
    challenges.answer(asked.action.url.rsplit("/", 1)[1], "123456")
    assert isinstance(sandbox.authorize(token), base.Approved)
    assert isinstance(sandbox.authorize(token, off_session=True), base.Approved)
    assert isinstance(sandbox.authorize(token, force_three_ds=True), base.ActionRequired)
    every_time = sandbox.card("4000002760003184")
    asked = sandbox.authorize(every_time)
    challenges.answer(asked.action.url.rsplit("/", 1)[1], "123456")
    assert isinstance(sandbox.authorize(every_time), base.ActionRequired)


def test_three_ds_that_is_asked_for_and_three_ds_that_is_optional(sandbox: Caller) -> None:
    assert isinstance(
        sandbox.authorize(sandbox.card("4242424242424242"), force_three_ds=True), base.ActionRequired
    )
    optional, broken = sandbox.card("4000000000003055"), sandbox.card("4000000000003097")
    assert sandbox.authorize(optional).facts.three_ds_result == "frictionless"
    assert sandbox.authorize(broken).facts.three_ds_result == "error"
    assert isinstance(sandbox.authorize(optional, force_three_ds=True), base.ActionRequired)
    assert sandbox.authorize(broken, force_three_ds=True).code == "processing_error"


def test_checks_and_risk_are_reported(sandbox: Caller) -> None:
    def facts(number: str, cvc: str | None = "123") -> base.AcquirerFacts:
        answer = sandbox.authorize(sandbox.card(number, cvc))
        assert isinstance(answer, base.Approved | base.Declined)
        return answer.facts

    assert (facts("4242424242424242").cvv_result, facts("4242424242424242").avs_result) == ("pass", "pass")
    assert facts("4242424242424242", None).cvv_result is None
    assert facts("4000000000000101").cvv_result == "fail"
    assert facts("4000000000000101", None).cvv_result is None
    assert facts("4000000000000127").cvv_result == "fail"
    assert facts("4000000000000036").avs_result == "fail"
    usual = facts("4242424242424242").risk_score or 0
    elevated = facts("4000000000009235").risk_score or 0
    assert usual < elevated < (facts("4000000000004954").risk_score or 0)


def test_a_wrong_security_code_needs_a_security_code(sandbox: Caller) -> None:
    assert isinstance(sandbox.authorize(sandbox.card("4000000000000127", None)), base.Approved)


def test_a_truncated_answer_is_unknown_and_was_executed(sandbox: Caller) -> None:
    assert isinstance(sandbox.authorize(sandbox.card("4000009990000062"), "authorize_1"), base.Unknown)
    assert sandbox.find("authorize_1").status == "authorized"


def test_a_wrong_amount_is_in_the_answer_and_not_in_the_book(sandbox: Caller) -> None:
    approved = sandbox.authorize(sandbox.card("4000009990000070"))
    assert approved.amount == 1600
    assert [row["amount"] for row in in_the_book()] == [1500]


def test_a_refund_that_is_pending_succeeds_when_its_time_has_come(sandbox: Caller) -> None:
    reference = sandbox.captured("4000000000007726")
    assert isinstance(sandbox.refund(reference, 500, "refund_1"), base.Pending)
    find = sandbox.connector.find_refund
    with later(9):
        assert isinstance(find(sandbox.context, "refund_1"), base.Pending)
    with later(11):
        assert isinstance(find(sandbox.context, "refund_1"), base.Approved)
        assert isinstance(sandbox.refund(reference, 500, "refund_1"), base.Approved)
    assert [row["refunded"] for row in in_the_book()] == [500]


def test_a_refund_that_the_bank_returns_gives_the_amount_back_once(sandbox: Caller) -> None:
    reference = sandbox.captured("4000000000005126")
    assert isinstance(sandbox.refund(reference, 1500, "refund_1"), base.Approved)
    assert isinstance(sandbox.refund(reference, 1), base.Declined)
    with later(11):
        for _ in range(2):
            answer = sandbox.connector.find_refund(sandbox.context, "refund_1")
            assert isinstance(answer, base.Declined)
            assert answer.code == "returned_by_bank"
    assert [row["refunded"] for row in in_the_book()] == [0]


def test_sixteen_people_looking_at_a_returned_refund_give_it_back_once(sandbox: Caller) -> None:
    reference = sandbox.captured("4000000000005126")
    sandbox.refund(reference, 700, "refund_1")
    sandbox.refund(reference, 800, "refund_2")
    with later(11), ThreadPoolExecutor(16) as pool:
        find = sandbox.connector.find_refund
        list(pool.map(lambda turn: find(sandbox.context, f"refund_{turn % 2 + 1}"), range(16)))
    assert [row["refunded"] for row in in_the_book()] == [0]


def test_an_authorisation_lapses_after_seven_days(sandbox: Caller) -> None:
    approved = sandbox.authorize(sandbox.card("4242424242424242"))
    assert approved.expires_at - clock.now() > timedelta(days=6, hours=23)
    with later(7 * 86_400 + 1):
        assert sandbox.capture(approved.reference).code == "authorization_expired"
        assert isinstance(sandbox.void(approved.reference), base.Approved)


@pytest.mark.parametrize(
    ("number", "month", "year", "cvc", "code", "field"),
    [
        ("4111111111111111", 12, 2030, "123", "test_card_required", "card_number"),
        ("4242424242424241", 12, 2030, "123", "incorrect_number", "card_number"),
        ("4242", 12, 2030, "123", "incorrect_number", "card_number"),
        ("", 12, 2030, "123", "incorrect_number", "card_number"),
        ("٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢", 12, 2030, "123", "incorrect_number", "card_number"),
        ("4242424242424242", 13, 2030, "123", "invalid_expiry_month", "exp_month"),
        ("4242424242424242", 0, 2030, "123", "invalid_expiry_month", "exp_month"),
        ("4242424242424242", 10, 2026, "123", "invalid_expiry", "exp_year"),
        ("4242424242424242", 12, 2099, "123", "invalid_expiry", "exp_year"),
        ("4242424242424242", 12, -5, "123", "invalid_expiry", "exp_year"),
        ("4242424242424242", 12, 2030, "12", "invalid_cvc", "cvc"),
        ("4242424242424242", 12, 2030, "1234", "invalid_cvc", "cvc"),
        ("4242424242424242", 12, 2030, "abc", "invalid_cvc", "cvc"),
    ],
)
def test_details_that_are_refused(
    number: str, month: int, year: int, cvc: str, code: str, field: str
) -> None:
    details = base.CardDetails(number, month, year, cvc)
    with (
        clock.frozen(datetime(2026, 11, 24, tzinfo=UTC)),
        pytest.raises(base.TokenRefused) as no,
    ):
        SandboxConnector().tokenize(context(), details)  # there is no database: nothing can be stored
    assert (no.value.code, no.value.field_name) == (code, field)
    assert not number or number not in str(no.value)


def test_details_that_are_taken(sandbox: Caller) -> None:
    with clock.frozen(datetime(2026, 11, 24, tzinfo=UTC)):
        for number, month, year, cvc in (
            ("4242 4242 4242 4242", 11, 2026, "123"),
            ("4242-4242-4242-4242", 1, 27, None),
            ("378282246310005", 12, 2030, "1234"),
        ):
            token = sandbox.connector.tokenize(context(), base.CardDetails(number, month, year, cvc))
            assert token.exp_year in (2026, 2027, 2030)
            assert token.last4 in ("4242", "0005")
            assert token.brand in ("VISA", "AMEX")


def test_each_behaviour_is_had_by_a_card_or_an_account() -> None:
    assert {row.behaviour for row in (*CARDS, *ACCOUNTS)} == set(Behaviour)


@pytest.mark.parametrize("availability", ["down", "unauthorized"])
def test_an_outage_that_was_switched_on_executes_and_answers_nothing(
    sandbox: Caller, availability: str
) -> None:
    token = sandbox.card("4242424242424242")
    approved = sandbox.authorize(token, "authorize_1")
    away = Caller(
        sandbox.connector,
        base.ConnectorContext("ten_a", "test", "http://shop.test", {"availability": availability}),
    )
    for answer in (away.authorize(token), away.capture(approved.reference), away.void(approved.reference)):
        assert isinstance(answer, base.NotExecuted)
    assert isinstance(away.refund(approved.reference, 1), base.NotExecuted)
    for question in (
        away.find("authorize_1"),
        away.connector.find_refund(away.context, "refund_1"),
        away.connector.find_dispute(away.context, "sbd_1"),
    ):
        assert isinstance(question, base.Unknown)
    assert len(in_the_book()) == 1 and sandbox.find("authorize_1").status == "authorized"
    found = away.connector.ping(away.context)
    assert (found.ok, found.refused) == (False, availability == "unauthorized")
