"""Proofs of ownership: deposits that are counted, a bank's word, 3-D Secure enrolment by the card's row."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import select

from app.connectors.sandbox import book
from app.connectors.sandbox import proofs as bank
from app.connectors.vaulting import BankDetails, WalletDetails
from app.db import reading
from app.domain.errors import DomainError
from app.models.events.journal import JournalEntry
from app.models.payments.method import PaymentMethod
from app.models.payments.verification import MethodVerification
from app.services.payments import methods, saved_methods, verifications
from app.services.payments.methods import MethodDraft
from tests import shops
from tests.buyers import together
from tests.shops import GOOD, Shop, card

pytestmark = pytest.mark.usefixtures("holds")

RIGHT, WRONG = (32, 45), (1, 2)


def account(shop: Shop, number: str = "000123456789", routing: str | None = "110000000") -> PaymentMethod:
    return methods.create(shop.actor, MethodDraft(BankDetails(number, routing)))


def verify(shop: Shop, method: PaymentMethod, kind: str = "micro_deposit", amounts: Any = None) -> Any:
    return verifications.verify(shop.actor, method.id, kind, amounts)


def refusal(work: Any) -> str:
    with pytest.raises(DomainError) as refused:
        work()
    return refused.value.code


def deposits() -> list[Any]:
    with reading() as db:
        return list(db.execute(select(book.deposits)).mappings())


def proofs() -> list[MethodVerification]:
    with reading() as db:
        return list(db.scalars(select(MethodVerification).order_by(MethodVerification.id)))


def test_two_deposits_are_sent_once_and_confirm_the_account(shop: Shop) -> None:
    method = account(shop)
    assert refusal(lambda: verify(shop, method, amounts=RIGHT)) == "verification_not_started"
    started = verify(shop, method)
    assert (started.status, started.tries_left) == ("pending", 3)
    assert verify(shop, method).id == started.id
    assert len(deposits()) == 1
    done = verify(shop, method, amounts=RIGHT[::-1])
    assert (done.id, done.status) == (started.id, "verified")
    assert methods.get(shop.actor, method.id).verified_at is not None
    assert verify(shop, method, amounts=WRONG).status == "verified", "what is proven stays so"
    with reading() as db:
        told = db.scalars(select(JournalEntry).where(JournalEntry.entity_id == started.id)).all()
    assert [entry.to_status for entry in told if entry.to_status] == ["pending", "verified"]
    words = re.findall(r"\w+", str([entry.data for entry in told]))
    assert not {"45", "32"} & set(words), "amounts stay with the bank"


def test_the_third_wrong_answer_closes_the_account(shop: Shop) -> None:
    method = account(shop)
    verify(shop, method)
    assert [verify(shop, method, amounts=WRONG).tries_left for _ in range(2)] == [2, 1]
    failed = verify(shop, method, amounts=WRONG)
    assert (failed.status, failed.reason) == ("failed", "too_many_tries")
    for kind, amounts in (("micro_deposit", RIGHT), ("micro_deposit", None), ("bank_verification", None)):
        assert refusal(lambda k=kind, a=amounts: verify(shop, method, k, a)) == "verification_failed"
    assert methods.get(shop.actor, method.id).verified_at is None
    assert verify(shop, account(shop)).status == "pending", "added again, it may be tried again"


def test_sixteen_guesses_at_once_are_three(shop: Shop) -> None:
    method = account(shop)
    verify(shop, method)
    guesses = [WRONG] * 16
    answers = together(16, lambda n: verify(shop, method, amounts=guesses[n]))
    assert [row["tries"] for row in deposits()] == [3]
    assert [proof.status for proof in proofs()] == ["failed"]
    assert {a.code for a in answers if isinstance(a, DomainError)} <= {"verification_failed"}


def test_sixteen_starts_at_once_are_one(shop: Shop) -> None:
    method = account(shop)
    answers = together(16, lambda _: verify(shop, method).id)
    assert len(set(answers)) == 1
    assert len(proofs()) == len(deposits()) == 1


@pytest.mark.parametrize("crash", ["send_deposits", "check_deposits"])
@pytest.mark.parametrize("executed", [False, True])
def test_a_call_that_dies_is_found_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, crash: str, executed: bool
) -> None:
    method, real = account(shop), getattr(bank, crash)
    if crash == "check_deposits":
        verify(shop, method)

    def lost(*arguments: Any) -> None:
        if executed:
            real(*arguments)
        raise TimeoutError

    with monkeypatch.context() as patched:
        patched.setattr(bank, crash, lost)
        assert verify(shop, method, amounts=RIGHT if crash == "check_deposits" else None).status == "pending"
    assert verify(shop, method, amounts=RIGHT).status == "verified"
    assert len(deposits()) == 1


@pytest.mark.parametrize(
    ("number", "routing", "status"),
    [
        ("000123456789", "110000000", "verified"),
        ("000222222227", "110000000", "verified"),
        ("000000000009", "110000000", "pending"),
        ("AT611904300234573201", None, "verified"),
        ("AT861904300235473202", None, "failed"),
    ],
)
def test_a_bank_says_whether_an_account_exists(
    shop: Shop, number: str, routing: str | None, status: str
) -> None:
    method = account(shop, number, routing)
    assert verify(shop, method, "bank_verification").status == status
    assert (methods.get(shop.actor, method.id).verified_at is not None) == (status == "verified")
    if status == "pending":
        assert refusal(lambda: verify(shop, method)) == "verification_in_progress"


#: From the sandbox's behaviour table: number → what the directory server says.
ENROLMENT = {
    "4242424242424242": "not_enrolled",
    "4000000000000002": "not_enrolled",
    "4000000000003220": "enrolled",
    "4000000000003063": "enrolled",
    "4000002760003184": "enrolled",
    "4000002500003155": "enrolled",
    "4000003800000446": "enrolled",
    "4000008260003178": "enrolled",
    "4000008400001629": "enrolled",
    "4000008400001280": "unavailable",
    "4000000000003055": "enrolled",
    "4000000000003097": "unavailable",
}


def test_a_card_is_enrolled_as_its_row_says(shop: Shop) -> None:
    for number, expected in ENROLMENT.items():
        method = methods.tokenize_card(shop.actor, card(number))
        found = verifications.look_up_three_ds(shop.actor, method.id)
        enrolled = expected == "enrolled"
        assert (found.enrolment, found.fingerprint_required) == (expected, enrolled), number
        assert (found.acs_url is not None) == enrolled
        done = verify(shop, method, "3ds_enrollment")
        assert done.status == ("verified" if enrolled else "failed"), number
        assert done.reason == (None if enrolled else expected)
        assert verify(shop, method, "3ds_enrollment").id != done.id, "it is asked anew each time"


def test_a_directory_that_cannot_be_asked_is_unavailable(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    method = methods.tokenize_card(shop.actor, card("4000000000003220"))

    def broken(*_: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr("app.connectors.sandbox.proofs.look_up_three_ds", broken)
    assert verifications.look_up_three_ds(shop.actor, method.id).enrolment == "unavailable"


def test_a_proof_is_for_its_type_of_method(shop: Shop) -> None:
    bank, plastic = account(shop), methods.tokenize_card(shop.actor, card(GOOD))
    wallet = methods.create(shop.actor, MethodDraft(WalletDetails("paypal")))
    for method, kind in (
        (plastic, "micro_deposit"),
        (plastic, "bank_verification"),
        (bank, "3ds_enrollment"),
        (wallet, "3ds_enrollment"),
        (wallet, "micro_deposit"),
    ):
        assert refusal(lambda m=method, k=kind: verify(shop, m, k)) == "verification_not_supported"
    assert refusal(lambda: verify(shop, plastic, "3ds_enrollment", RIGHT)) == "invalid_amounts"
    assert (
        refusal(lambda: verifications.look_up_three_ds(shop.actor, bank.id)) == "verification_not_supported"
    )
    assert proofs() == []


def test_neither_a_revoked_method_nor_a_strangers_is_verified(shop: Shop) -> None:
    method, stranger = account(shop), shops.make("Stranger")
    assert refusal(lambda: verify(stranger, method)) == "payment_method_not_found"
    saved_methods.revoke(shop.actor, method.id)
    assert refusal(lambda: verify(shop, method)) == "payment_method_revoked"
    assert deposits() == []
