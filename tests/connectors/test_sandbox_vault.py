"""The sandbox's vault and its debits, as a caller of the gateway sees them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from app.connectors import base, vaulting
from app.connectors.sandbox import book
from app.connectors.sandbox.answers import DEBIT_SECONDS
from app.connectors.sandbox.banks import ACCOUNTS
from app.connectors.vaulting import BankDetails, ProofStatus
from app.db import reading
from app.domain.rules.cards import is_iban
from tests.buyers import together
from tests.connectors.conftest import Caller, context, in_the_book
from tests.shops import GOOD, card, later

CAPABILITIES = (
    vaulting.TokenizesBankAccounts,
    vaulting.IssuesClientTokens,
    vaulting.RedeemsTokens,
    vaulting.VerifiesBankAccounts,
    vaulting.LooksUpThreeDS,
)


def account(sandbox: Caller, number: str = "000123456789") -> str:
    routing = None if is_iban(number) else "110000000"
    kept = sandbox.connector.tokenize_bank_account(sandbox.context, BankDetails(number, routing))
    return str(kept.token)


def debit(sandbox: Caller, number: str, key: str = "authorize_1") -> Any:
    kind = "sepa_debit" if is_iban(number) else "bank_account"
    return sandbox.authorize(account(sandbox, number), key, method_type=kind)


def queued() -> list[Any]:
    with reading() as db:
        return list(db.execute(select(book.webhooks).order_by(book.webhooks.c.id)).mappings())


def test_it_has_every_capability_of_a_vault(sandbox: Caller) -> None:
    for capability in CAPABILITIES:
        assert isinstance(sandbox.connector, capability)


def test_a_client_token_stands_for_the_same_each_time_and_for_its_merchant_alone(sandbox: Caller) -> None:
    issued = sandbox.connector.issue_client_token(sandbox.context, card(GOOD))
    first = sandbox.connector.redeem(sandbox.context, issued.token)
    assert first == sandbox.connector.redeem(sandbox.context, issued.token) == issued.method
    assert issued.token != first.token
    assert isinstance(sandbox.authorize(first.token), base.Approved)
    assert isinstance(sandbox.authorize(issued.token), base.Declined), (
        "a browser's token is charged by nobody"
    )
    for caller in (context("ten_b"), context(mode="live")):
        with pytest.raises(base.TokenRefused, match="token_not_found"):
            sandbox.connector.redeem(caller, issued.token)


def test_details_of_an_account_never_show_themselves() -> None:
    details = BankDetails("000123456789", "110000000", "Ann")
    assert "000123456789" not in f"{details} {details!r} {[details]}"


def test_no_account_number_is_kept(sandbox: Caller) -> None:
    for row in ACCOUNTS:
        account(sandbox, row.number)
    with reading() as db:
        kept = str(db.execute(select(book.tokens)).all())
    for row in ACCOUNTS:
        assert row.number not in kept
        assert row.number[-4:] in kept


def test_deposits_are_sent_once_and_answered_three_times(sandbox: Caller) -> None:
    token = account(sandbox)
    together(16, lambda _: sandbox.connector.send_deposits(sandbox.context, token, "ver_1"))
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(book.deposits)) == 1
    answers = together(16, lambda _: sandbox.connector.check_deposits(sandbox.context, "ver_1", (1, 2)))
    left = sorted(answer.tries_left for answer in answers if answer.status == ProofStatus.PENDING)
    assert left == [1, 2]
    late = sandbox.connector.check_deposits(sandbox.context, "ver_1", (32, 45))
    assert (late.status, late.reason) == (ProofStatus.FAILED, "too_many_tries")
    nobody = sandbox.connector.check_deposits(sandbox.context, "ver_2", (32, 45))
    assert nobody.status == ProofStatus.FAILED
    stranger = sandbox.connector.check_deposits(context("ten_b"), "ver_1", (32, 45))
    assert stranger.reason == "deposits_not_sent"


def test_a_debit_is_pending_and_then_a_fact(sandbox: Caller) -> None:
    assert isinstance(debit(sandbox, "000123456789"), base.Pending)
    pending = sandbox.find("authorize_1")
    assert (pending.status, pending.action) == ("pending", None)
    assert isinstance(sandbox.capture(pending.reference), base.Declined), "nothing is there to take yet"
    (notice,) = queued()
    with later(11):
        assert sandbox.find("authorize_1").status == "authorized"
        assert isinstance(sandbox.capture(pending.reference), base.Approved)
    assert notice["body"]["type"] == "payment.authorized"
    assert notice["due_at"] == in_the_book()[0]["created_at"] + timedelta(seconds=DEBIT_SECONDS)


@pytest.mark.parametrize(
    ("number", "code"),
    [("000222222227", "insufficient_funds"), ("AT861904300235473202", "generic_decline")],
)
def test_a_debit_is_refused_later(sandbox: Caller, number: str, code: str) -> None:
    assert isinstance(debit(sandbox, number), base.Pending)
    with later(11):
        found = sandbox.find("authorize_1")
        assert (found.status, found.decline_code) == ("declined", code)
        assert isinstance(sandbox.capture(found.reference), base.Declined)


def test_a_debit_may_stay_pending_and_can_be_withdrawn(sandbox: Caller) -> None:
    reference = debit(sandbox, "000000000009").reference
    assert queued() == []
    with later(24 * 3600):
        assert sandbox.find("authorize_1").status == "pending"
        assert isinstance(sandbox.void(reference), base.Approved)
        assert sandbox.find("authorize_1").status == "voided"


def test_a_disputed_debit_is_disputed_when_it_is_taken(sandbox: Caller) -> None:
    reference = debit(sandbox, "000555555559").reference
    with later(11):
        sandbox.capture(reference)
    assert "dispute.created" in [row["body"]["type"] for row in queued()]
