"""The simulated bank: the 3-D Secure page and the pages of redirect and QR methods."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.connectors import base
from app.connectors.sandbox import challenges
from app.connectors.sandbox.vault import REDIRECT_TYPES
from tests.connectors.conftest import Caller, in_the_book
from tests.shops import CHALLENGED, later


def asked(sandbox: Caller, key: str = "authorize_1") -> str:
    """The id of a fresh 3-D Secure challenge."""
    answer = sandbox.authorize(sandbox.card(CHALLENGED), key)
    return str(answer.action.url).rsplit("/", 1)[1]


def sent_to_bank(sandbox: Caller, method_type: str = "ideal") -> tuple[str, base.NextAction]:
    """The id of a fresh bank page, and the action that leads there."""
    token = sandbox.connector.tokenize_redirect(sandbox.context, method_type)
    answer = sandbox.authorize(token.token, f"authorize_{method_type}", method_type=method_type)
    expected = base.Pending if method_type == "bank_transfer" else base.ActionRequired
    assert isinstance(answer, expected)
    assert answer.action is not None
    return str(answer.action.url).rsplit("/", 1)[1], answer.action


def test_the_page_shows_what_is_paid(sandbox: Caller) -> None:
    page = challenges.get(asked(sandbox))
    assert page is not None
    assert (page.kind, page.amount, page.currency, page.last4) == ("acs", 1500, "GBP", "3220")
    assert (page.open, page.tries_left) == (True, 3)
    assert page.return_url == "http://shop.test/return/nonce"


def test_nobody_guesses_a_challenge(sandbox: Caller) -> None:
    assert len(asked(sandbox)) >= 24
    assert challenges.get("other") is None
    assert challenges.answer("other", "123456") is None
    assert challenges.answer("other", "000000") is None
    assert challenges.decide("other", approve=True) is None
    assert challenges.cancel("other") is None


def test_two_wrong_codes_then_the_right_one(sandbox: Caller) -> None:
    challenge = asked(sandbox)
    for left in (2, 1):
        page = challenges.answer(challenge, "000000")
        assert page is not None
        assert (page.open, page.tries_left) == (True, left)
    challenges.answer(challenge, " 123456 ")
    assert sandbox.find("authorize_1").status == "authorized"


def test_the_third_wrong_code_ends_it(sandbox: Caller) -> None:
    challenge = asked(sandbox)
    for _ in range(3):
        challenges.answer(challenge, "000000")
    challenges.answer(challenge, "123456")
    found = sandbox.find("authorize_1")
    assert (found.status, found.decline_code) == ("declined", "authentication_failed")
    assert found.facts.three_ds_result == "failed"


def test_a_challenge_is_decided_once(sandbox: Caller) -> None:
    challenge = asked(sandbox)
    challenges.decide(challenge, approve=True)
    challenges.decide(challenge, approve=False)
    challenges.cancel(challenge)
    assert sandbox.find("authorize_1").status == "authorized"


def test_sixteen_people_at_one_challenge_leave_one_outcome(sandbox: Caller) -> None:
    challenge = asked(sandbox)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda turn: challenges.decide(challenge, approve=turn % 2 == 0), range(16)))
    page = challenges.get(challenge)
    assert page is not None
    assert not page.open
    first = sandbox.find("authorize_1")
    assert first.status in ("authorized", "declined")
    assert len(in_the_book()) == 1


def test_giving_up_and_failing_have_their_own_codes(sandbox: Caller) -> None:
    challenges.cancel(asked(sandbox, "authorize_1"))
    challenges.decide(asked(sandbox, "authorize_2"), approve=False)
    assert sandbox.find("authorize_1").decline_code == "authentication_abandoned"
    assert sandbox.find("authorize_2").decline_code == "authentication_failed"


def test_walking_away_says_nothing_until_the_time_is_over(sandbox: Caller) -> None:
    challenge = asked(sandbox)
    with later(14 * 60):
        assert sandbox.find("authorize_1").status == "action_required"
    with later(15 * 60 + 5):
        found = sandbox.find("authorize_1")
        assert (found.status, found.decline_code) == ("expired", "authentication_abandoned")
        assert found.action is None
        challenges.answer(challenge, "123456")
        assert sandbox.find("authorize_1").status == "expired"
        assert isinstance(sandbox.void(found.reference), base.Declined)


def test_a_payment_that_waits_for_the_shopper_is_not_captured_and_can_be_withdrawn(sandbox: Caller) -> None:
    challenge = asked(sandbox)
    reference = sandbox.find("authorize_1").reference
    assert isinstance(sandbox.capture(reference), base.Declined)
    assert isinstance(sandbox.void(reference), base.Approved)
    challenges.answer(challenge, "123456")
    assert sandbox.find("authorize_1").status == "voided"


def test_each_redirect_method_has_a_bank_page(sandbox: Caller) -> None:
    for method_type in sorted(REDIRECT_TYPES):
        challenge, action = sent_to_bank(sandbox, method_type)
        qr = method_type == "promptpay"
        own = {"promptpay": base.ActionType.QR_CODE, "bank_transfer": base.ActionType.AWAITING_WEBHOOK}
        assert action.type == own.get(method_type, base.ActionType.REDIRECT_TO_URL)
        assert action.url == f"http://shop.test/sandbox/bank/{challenge}"
        assert action.qr_payload == (action.url if qr else None)
        page = challenges.get(challenge)
        assert page is not None
        assert (page.kind, page.method_type, page.last4) == ("bank", method_type, None)
        challenges.decide(challenge, approve=True)
        found = sandbox.find(f"authorize_{method_type}")
        assert (found.status, found.facts.three_ds_result) == ("authorized", None)


def test_a_bank_that_refuses(sandbox: Caller) -> None:
    challenge, _ = sent_to_bank(sandbox)
    challenges.decide(challenge, approve=False)
    found = sandbox.find("authorize_ideal")
    assert (found.status, found.decline_code) == ("declined", "authentication_failed")
    assert found.facts.three_ds_result is None


def test_a_method_that_is_not_simulated_is_refused(sandbox: Caller) -> None:
    with pytest.raises(base.TokenRefused) as refused:
        sandbox.connector.tokenize_redirect(sandbox.context, "cash")
    assert refused.value.code == "payment_method_not_supported"


def test_a_token_pays_only_as_what_it_is(sandbox: Caller) -> None:
    card = sandbox.card("4000000000000002")
    assert isinstance(sandbox.authorize(card, method_type="ideal"), base.Declined)
    bank = sandbox.connector.tokenize_redirect(sandbox.context, "ideal").token
    assert isinstance(sandbox.authorize(bank), base.Declined)
    assert in_the_book() == []


def test_a_challenge_has_its_transaction_and_nobody_guesses_it(sandbox: Caller) -> None:
    answer = sandbox.authorize(sandbox.card(CHALLENGED), "authorize_1")
    parameters = answer.action.challenge
    assert parameters["acs_url"] == answer.action.url
    assert len(parameters["transaction_id"]) == 36
    assert sandbox.find("authorize_1").action.challenge == parameters
    other = sandbox.authorize(sandbox.card(CHALLENGED), "authorize_2").action.challenge
    assert other["transaction_id"] != parameters["transaction_id"]


def test_a_bank_transfer_says_where_to_and_waits_for_a_week(sandbox: Caller) -> None:
    challenge, action = sent_to_bank(sandbox, "bank_transfer")
    assert action.details is not None
    page = challenges.get(challenge)
    assert page is not None and page.open and page.reference == action.details["reference"]
    with later(6 * 86_400):
        assert sandbox.find("authorize_bank_transfer").status == "pending"
    with later(7 * 86_400 + 5):
        found = sandbox.find("authorize_bank_transfer")
        assert (found.status, found.decline_code) == ("expired", "authentication_abandoned")
        challenges.decide(challenge, approve=True)
        assert sandbox.find("authorize_bank_transfer").status == "expired"


def test_a_bank_transfer_can_be_withdrawn_before_it_is_made(sandbox: Caller) -> None:
    challenge, _ = sent_to_bank(sandbox, "bank_transfer")
    reference = sandbox.find("authorize_bank_transfer").reference
    assert isinstance(sandbox.void(reference), base.Approved)
    challenges.decide(challenge, approve=True)
    assert sandbox.find("authorize_bank_transfer").status == "voided"


def test_an_authorisation_ends_by_itself(sandbox: Caller) -> None:
    reference = sandbox.authorize(sandbox.card("4242424242424242"), "authorize_1").reference
    with later(7 * 86_400 + 5):
        found = sandbox.find("authorize_1")
        assert (found.status, found.decline_code) == ("expired", "authorization_expired")
        assert isinstance(sandbox.capture(reference), base.Declined)
        assert isinstance(sandbox.void(reference), base.Approved)
