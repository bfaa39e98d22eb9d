"""The vault: what a token makes, what consent allows, what is revoked, and whom a browser may charge."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from app.connectors.base import CardDetails
from app.connectors.sandbox import book
from app.connectors.vaulting import BankDetails, WalletDetails
from app.db import reading, transaction
from app.domain.actor import Actor, ActorKind
from app.domain.errors import Conflict, DomainError, NotFound, Unprocessable, VersionConflict
from app.models.events.journal import JournalEntry
from app.models.payments.attempt import Attempt
from app.models.payments.method import PaymentMethod
from app.services.access import keys, tokens
from app.services.checkout import payment
from app.services.payments import intents, methods, refunds, saved_methods, vault, verifications
from app.services.payments.intents import IntentDraft
from app.services.payments.methods import MethodDraft
from app.services.payments.saved_methods import MethodChange
from tests import shops
from tests.buyers import together
from tests.connectors.conftest import in_the_book
from tests.shops import CHALLENGED, GOOD, NO_FUNDS, Shop, card, later

pytestmark = pytest.mark.usefixtures("holds")


def token(shop: Shop, number: str = GOOD) -> str:
    return methods.issue_token(shop.actor, card(number)).token


def made(shop: Shop, source: Any = None, **draft: Any) -> PaymentMethod:
    return methods.create(shop.actor, MethodDraft(source or token(shop), **draft))


def saved(shop: Shop, customer: str = "cust_1", number: str = GOOD) -> PaymentMethod:
    return made(shop, token(shop, number), customer_id=customer, consent=True)


def charged(shop: Shop, method_id: str, nonce: str = "n1") -> str:
    intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method_id))
    return intents.confirm(shop.actor, intent.id, nonce=nonce).status


def refusal(work: Any) -> str:
    with pytest.raises(DomainError) as refused:
        work()
    return refused.value.code


def stored(kind: type[Any] = PaymentMethod) -> list[Any]:
    with reading() as db:
        return list(db.scalars(select(kind).order_by(kind.id)))


def told(entity_id: str) -> list[JournalEntry]:
    statement = select(JournalEntry).where(JournalEntry.entity_id == entity_id).order_by(JournalEntry.id)
    with reading() as db:
        return list(db.scalars(statement))


def events(entity_id: str) -> list[str]:
    return [entry.type for entry in told(entity_id)]


def test_a_token_makes_one_method_and_is_spent(shop: Shop) -> None:
    single = token(shop)
    method = made(shop, single, place="token")
    assert (method.type, method.brand, method.last4, method.exp_month) == ("card", "VISA", "4242", 12)
    assert (method.status, method.reusable, method.customer_id) == ("active", False, None)
    assert refusal(lambda: made(shop, single)) == "token_already_used"
    assert [row.id for row in stored()] == [method.id]
    assert single not in str(told(method.id)[0].data), "a token stays out of the journal"


def test_of_sixteen_who_send_one_token_one_gets_its_method(shop: Shop) -> None:
    single = token(shop)
    answers = together(16, lambda _: made(shop, single).id)
    assert sum(isinstance(answer, str) for answer in answers) == 1
    assert {answer.code for answer in answers if isinstance(answer, DomainError)} == {"token_already_used"}
    assert len(stored()) == 1


def test_a_payment_that_takes_no_method_any_more_spends_no_token(shop: Shop) -> None:
    over = intents.create(shop.actor, IntentDraft(5000, "GBP"))
    intents.cancel(shop.actor, over.id, "user_cancel")
    single = token(shop)
    assert refusal(lambda: intents.attach(shop.actor, over.id, single)) == "invalid_state"
    assert stored() == []
    waiting = intents.create(shop.actor, IntentDraft(5000, "GBP"))
    assert intents.attach(shop.actor, waiting.id, single).payment_method_id == stored()[0].id


def test_a_crash_between_vault_and_method_spends_no_token(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = token(shop)

    def dies(*_: Any, **__: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(methods, "_keep", dies)
        with pytest.raises(SystemExit):
            made(shop, single)
    assert made(shop, single).last4 == "4242"


def test_a_token_is_its_merchants_and_its_modes_and_lasts_an_hour(shop: Shop) -> None:
    stranger, single = shops.make("Stranger"), token(shop)
    live = keys.authenticate(keys.create(shop.actor, "live", mode="live")[1])
    for actor in (stranger.actor, live):
        assert refusal(lambda actor=actor: methods.create(actor, MethodDraft(single))) == "token_not_found"
    with later(3601):
        assert refusal(lambda: made(shop, single)) == "token_expired"
    assert refusal(lambda: made(shop, "tok_nobody")) == "token_not_found"
    assert stored() == []


def test_no_raw_details_are_taken_in_live_mode(shop: Shop) -> None:
    live = keys.authenticate(keys.create(shop.actor, "live", mode="live")[1])
    for details in (card(GOOD), BankDetails("000123456789", "110000000")):
        for work in (methods.issue_token, lambda actor, one: methods.create(actor, MethodDraft(one))):
            assert refusal(lambda w=work, d=details: w(live, d)) == "payment_method_not_supported"
    with reading() as db:
        assert db.execute(select(book.tokens)).all() == []


def test_a_gateway_that_breaks_makes_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    single = token(shop)

    def broken(*_: Any) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr("app.connectors.sandbox.client_tokens.redeem", broken)
        assert refusal(lambda: made(shop, single)) == "service_unavailable"
    assert made(shop, single).last4 == "4242"


@pytest.mark.parametrize(
    ("details", "type_", "last4"),
    [
        (CardDetails("5555555555554444", 1, 2040), "card", "4444"),
        (BankDetails("000123456789", "110000000"), "bank_account", "6789"),
        (BankDetails("AT61 1904 3002 3457 3201"), "sepa_debit", "3201"),
        (WalletDetails("apple_pay"), "apple_pay", None),
        (WalletDetails("google_pay"), "google_pay", None),
        (WalletDetails("paypal"), "paypal", None),
    ],
)
def test_each_type_by_token_and_by_details(shop: Shop, details: Any, type_: str, last4: str | None) -> None:
    by_token = made(shop, methods.issue_token(shop.actor, details).token, type=type_)
    by_details = made(shop, details, type=type_)
    for method in (by_token, by_details):
        assert (method.type, method.last4, method.connector) == (type_, last4, "sandbox")
    assert by_token.token != by_details.token
    assert refusal(lambda: made(shop, details, type="ideal")) == "payment_method_type_mismatch"


@pytest.mark.parametrize(
    ("details", "place", "code", "field"),
    [
        (card("4111111111111111"), "card", "test_card_required", "card.number"),
        (card("4242424242424241"), "card", "incorrect_number", "card.number"),
        (CardDetails(GOOD, 12, 2001), "card", "invalid_expiry", "card.exp_year"),
        (CardDetails(GOOD, 12, 2040, "12"), "card", "invalid_cvc", "card.cvc"),
        (
            BankDetails("000123456789", "021000021"),
            "bank_account",
            "test_account_required",
            "bank_account.routing_number",
        ),
        (
            BankDetails("123456789012", "110000000"),
            "bank_account",
            "test_account_required",
            "bank_account.account_number",
        ),
        (
            BankDetails("AT611904300234573201", "110000000"),
            "bank_account",
            "test_account_required",
            "bank_account.account_number",
        ),
        (BankDetails("000123456789"), "sepa_debit", "test_account_required", "sepa_debit.iban"),
    ],
)
def test_a_refusal_names_the_field_and_keeps_nothing(
    shop: Shop, details: Any, place: str, code: str, field: str
) -> None:
    for work in (
        lambda: methods.issue_token(shop.actor, details, place),
        lambda: made(shop, details, place=place),
    ):
        with pytest.raises(Unprocessable) as refused:
            work()
        assert (refused.value.code, refused.value.field) == (code, field)
    with reading() as db:
        assert db.execute(select(book.tokens)).all() == []
    assert stored() == []


@pytest.mark.parametrize(
    ("draft", "reusable"),
    [
        ({"customer_id": "cust_1"}, False),
        ({"customer_id": "cust_1", "consent": False}, False),
        ({"customer_id": "cust_1", "consent": True}, True),
        ({"customer_id": "cust_1", "consent": True, "save": True}, True),
    ],
)
def test_consent_decides_what_is_kept(shop: Shop, draft: dict[str, Any], reusable: bool) -> None:
    method = made(shop, **draft)
    assert (method.reusable, method.consent, method.consented_at is not None) == (reusable,) * 3


@pytest.mark.parametrize("consent", [None, False])
def test_saving_without_consent_is_refused_and_spends_no_token(shop: Shop, consent: bool | None) -> None:
    single = token(shop)
    refused = refusal(lambda: made(shop, single, customer_id="c", consent=consent, save=True))
    assert refused == "consent_required"
    assert made(shop, single).status == "active"


def test_attaching_needs_consent_and_is_told_once(shop: Shop) -> None:
    method = made(shop)

    def attach(**more: Any) -> PaymentMethod:
        return saved_methods.attach(shop.actor, method.id, customer_id="cust_1", **more)

    for consent in (None, False):
        assert refusal(lambda c=consent: attach(consent=c)) == "consent_required"
    kept = attach(consent=True)
    assert (kept.customer_id, kept.reusable, kept.version) == ("cust_1", True, 2)
    assert kept.consented_at is not None
    assert attach().version == attach(consent=True).version == 2
    assert refusal(lambda: attach(consent=False)) == "consent_required"
    assert events(method.id) == ["payment_method.created", "payment_method.attached"]
    entry = told(method.id)[1]
    for part, customer, consent in (("before", None, False), ("after", "cust_1", True)):
        assert (entry.data[part]["customer_id"], entry.data[part]["consent"]) == (customer, consent)
    assert entry.actor_id == shop.actor.id


def test_a_method_moves_to_no_other_customer_and_may_serve_a_merchant_account(shop: Shop) -> None:
    method = saved(shop)
    with pytest.raises(Conflict) as refused:
        saved_methods.attach(shop.actor, method.id, customer_id="cust_2", consent=True)
    assert refused.value.code == "payment_method_attached"
    kept = saved_methods.attach(shop.actor, method.id, customer_id=None, merchant_account_id="ma_1")
    assert (kept.customer_id, kept.merchant_account_id) == ("cust_1", "ma_1")


def test_sixteen_defaults_at_once_leave_one(shop: Shop) -> None:
    kept = [saved(shop) for _ in range(16)]
    other = saved(shop, "cust_2")
    saved_methods.update(shop.actor, other.id, MethodChange(is_default=True))
    answers = together(
        16, lambda n: saved_methods.update(shop.actor, kept[n].id, MethodChange(is_default=True)).is_default
    )
    assert answers == [True] * 16
    default = [row.id for row in stored() if row.is_default and row.customer_id == "cust_1"]
    assert len(default) == 1
    assert methods.get(shop.actor, other.id).is_default, "another customer keeps its own"


def test_the_default_is_changed_told_and_lost_with_its_method(shop: Shop) -> None:
    first, second = saved(shop), saved(shop)

    def change(method: PaymentMethod, **how: Any) -> PaymentMethod:
        return saved_methods.update(shop.actor, method.id, MethodChange(**how))

    change(first, is_default=True)
    change(second, is_default=True)
    assert not methods.get(shop.actor, first.id).is_default
    assert events(first.id) == ["payment_method.created", *["payment_method.updated"] * 2]
    assert not change(second, is_default=False).is_default
    change(second, is_default=True)
    saved_methods.revoke(shop.actor, second.id)
    assert not any(row.is_default for row in stored())
    one_off = made(shop, customer_id="cust_1")
    assert refusal(lambda: change(one_off, is_default=True)) == "consent_required"


def test_a_change_merges_metadata_under_its_version(shop: Shop) -> None:
    method = made(shop, metadata={"nickname": "Work", "tag": 1})
    change = MethodChange(metadata={"nickname": "Home", "tag": None, "x": [1]}, version=1)
    changed = saved_methods.update(shop.actor, method.id, change)
    assert (changed.metadata_, changed.version) == ({"nickname": "Home", "x": [1]}, 2)
    with pytest.raises(VersionConflict):
        saved_methods.update(shop.actor, method.id, change)
    with pytest.raises(VersionConflict):
        saved_methods.update(shop.actor, method.id, MethodChange(is_default=True, version=1))
    assert saved_methods.update(shop.actor, method.id, MethodChange()).version == 2
    many = MethodChange(metadata={f"k{n}": n for n in range(49)})
    assert refusal(lambda: saved_methods.update(shop.actor, method.id, many)) == "too_much_metadata"
    assert "Home" not in str([entry.data for entry in told(method.id)])


def test_sixteen_changes_of_one_version_let_one_through(shop: Shop) -> None:
    method = made(shop)
    answers = together(
        16,
        lambda n: saved_methods.update(shop.actor, method.id, MethodChange({"n": n}, version=1)).version,
    )
    assert answers.count(2) == 1
    assert sum(isinstance(answer, VersionConflict) for answer in answers) == 15


def test_the_list_is_the_customers_active_ones_page_by_page(shop: Shop) -> None:
    kept = [saved(shop).id for _ in range(5)]
    saved(shop, "cust_2")
    stranger = shops.make("Stranger")
    saved(stranger)
    saved_methods.revoke(shop.actor, kept.pop(2))
    first = saved_methods.list_page(shop.actor, "cust_1", limit=3)
    second = saved_methods.list_page(shop.actor, "cust_1", limit=3, cursor=first.next_cursor)
    assert [row.id for row in (*first.data, *second.data)] == kept[::-1]
    assert (first.has_more, second.has_more) == (True, False)
    assert refusal(lambda: saved_methods.list_page(shop.actor, "cust_1", cursor="?")) == "invalid_request"


def test_a_revoked_method_is_kept_told_and_good_for_nothing(shop: Shop) -> None:
    method = saved(shop)
    named = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
    open_one = intents.create(shop.actor, IntentDraft(5000, "GBP"))
    saved_methods.revoke(shop.actor, method.id)
    saved_methods.revoke(shop.actor, method.id)
    row = methods.get(shop.actor, method.id)
    assert (row.status, row.revoked_at is not None) == ("revoked", True)
    assert events(method.id) == ["payment_method.created", "payment_method.revoked"]
    assert told(method.id)[1].actor_id == shop.actor.id
    for work in (
        lambda: intents.confirm(shop.actor, named.id, nonce="n"),
        lambda: intents.confirm(shop.actor, open_one.id, nonce="n", method_id=method.id),
        lambda: intents.attach(shop.actor, open_one.id, method.id),
        lambda: intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id)),
        lambda: saved_methods.attach(shop.actor, method.id, customer_id="cust_1", consent=True),
        lambda: saved_methods.update(shop.actor, method.id, MethodChange({"a": 1})),
        lambda: payment.pay_by_method(shop.actor, shop.session().id, method.id, payment.Order("n")),
    ):
        assert refusal(work) == "payment_method_revoked"
    assert stored(Attempt) == []
    assert in_the_book() == []
    assert intents.get(shop.actor, named.id).status == "requires_confirmation"


def test_a_revocation_during_confirms_lets_none_through_after_it(shop: Shop) -> None:
    method = saved(shop)
    waiting = [
        intents.create(shop.actor, IntentDraft(100 + n, "GBP", payment_method_id=method.id)).id
        for n in range(8)
    ]

    def act(number: int) -> str:
        if number == 4:
            saved_methods.revoke(shop.actor, method.id)
            return "revoked"
        return intents.confirm(shop.actor, waiting[number], nonce="n").status

    answers = together(8, act)
    codes = {answer.code for answer in answers if isinstance(answer, DomainError)}
    assert codes <= {"payment_method_revoked"}
    assert len(in_the_book()) == answers.count("succeeded")
    assert refusal(lambda: charged(shop, method.id)) == "payment_method_revoked"


def test_money_that_is_out_still_comes_back_over_a_revoked_method(shop: Shop) -> None:
    method = saved(shop)
    intent = intents.create(
        shop.actor, IntentDraft(5000, "GBP", capture_mode="manual", payment_method_id=method.id)
    )
    intents.confirm(shop.actor, intent.id, nonce="n")
    saved_methods.revoke(shop.actor, method.id)
    assert intents.capture(shop.actor, intent.id).status == "succeeded"
    refunds.send(refunds.create(shop.actor, intent.id).id)
    assert intents.get(shop.actor, intent.id).amount_refunded == 5000


def test_without_consent_a_method_serves_one_payment(shop: Shop) -> None:
    method = made(shop, customer_id="cust_1")
    assert charged(shop, method.id) == "succeeded"
    assert refusal(lambda: charged(shop, method.id)) == "payment_method_used"
    saved_methods.attach(shop.actor, method.id, customer_id="cust_1", consent=True)
    assert charged(shop, method.id) == charged(shop, method.id) == "succeeded"
    assert len(in_the_book()) == 3


def test_a_payment_that_took_nothing_leaves_the_method_free(shop: Shop) -> None:
    method = made(shop, token(shop, NO_FUNDS))
    for _ in range(2):
        intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
        for nonce in ("n1", "n2"):
            declined = intents.confirm(shop.actor, intent.id, nonce=nonce, method_id=method.id)
            assert declined.last_error is not None


def test_sixteen_payments_with_one_one_off_method_charge_once(shop: Shop) -> None:
    method = made(shop)
    waiting = [intents.create(shop.actor, IntentDraft(100 + n, "GBP")).id for n in range(16)]
    answers = together(
        16, lambda n: intents.confirm(shop.actor, waiting[n], nonce="n", method_id=method.id).status
    )
    assert answers.count("succeeded") == 1
    assert {answer.code for answer in answers if isinstance(answer, DomainError)} == {"payment_method_used"}
    assert len(in_the_book()) == 1


def test_sixteen_payments_with_a_kept_method_all_go_through(shop: Shop) -> None:
    method = saved(shop)
    answers = together(16, lambda _: charged(shop, method.id))
    assert answers == ["succeeded"] * 16


def browser(shop: Shop, session: Any) -> Actor:
    actor = tokens.authenticate(tokens.client_token(session))
    assert actor.kind == ActorKind.CLIENT_TOKEN
    return actor


def test_a_browser_pays_with_what_nobody_keeps(shop: Shop) -> None:
    session = shop.session(hosted=False)
    mine, kept, one_off = browser(shop, session), saved(shop), made(shop)
    of_somebody = made(shop, customer_id="cust_1")
    for method in (kept, of_somebody):
        for work in (
            lambda m=method: methods.get(mine, m.id),
            lambda m=method: payment.pay_by_method(mine, session.id, m.id, payment.Order("n1")),
        ):
            with pytest.raises(NotFound):
                work()
    assert in_the_book() == []
    payment.pay_by_method(mine, session.id, one_off.id, payment.Order("n2"))
    assert len(in_the_book()) == 1


def test_a_browser_sees_the_method_that_its_server_chose(shop: Shop) -> None:
    session, kept = shop.session(hosted=False), saved(shop, number=CHALLENGED)
    payment.pay_by_method(shop.actor, session.id, kept.id, payment.Order("n1"))
    assert methods.get(browser(shop, session), kept.id).id == kept.id


def test_another_merchants_method_is_not_there(shop: Shop) -> None:
    method, stranger = saved(shop), shops.make("Stranger").actor
    for work in (
        lambda: methods.get(stranger, method.id),
        lambda: saved_methods.attach(stranger, method.id, customer_id="x", consent=True),
        lambda: saved_methods.update(stranger, method.id, MethodChange(is_default=True)),
        lambda: saved_methods.revoke(stranger, method.id),
    ):
        assert refusal(work) == "payment_method_not_found"
    assert events(method.id) == ["payment_method.created"]


@pytest.mark.parametrize(
    ("number", "routing", "status", "code"),
    [
        ("000123456789", "110000000", "succeeded", None),
        ("000222222227", "110000000", "requires_payment_method", "insufficient_funds"),
        ("000555555559", "110000000", "succeeded", None),
        ("000000000009", "110000000", "processing", None),
        ("AT611904300234573201", None, "succeeded", None),
        ("AT861904300235473202", None, "requires_payment_method", "generic_decline"),
    ],
)
def test_a_debit_is_pending_until_its_bank_has_spoken(
    shop: Shop, number: str, routing: str | None, status: str, code: str | None
) -> None:
    method = made(shop, BankDetails(number, routing))
    if routing:
        assert refusal(lambda: charged(shop, method.id)) == "payment_method_not_verified"
        verifications.verify(shop.actor, method.id, "micro_deposit")
        verifications.verify(shop.actor, method.id, "micro_deposit", (45, 32))
    intent = intents.create(shop.actor, IntentDraft(5000, "EUR", payment_method_id=method.id))
    pending = intents.confirm(shop.actor, intent.id, nonce="n")
    assert (pending.status, pending.next_action) == ("processing", {"type": "awaiting_webhook"})
    with later(60):
        payment.sweep()
        found = intents.get(shop.actor, intent.id)
    assert found.status == status
    assert (found.last_error or {}).get("decline_code") == code
    assert [row["captured"] for row in in_the_book()] == [5000 if status == "succeeded" else 0]


def test_a_vault_is_never_called_inside_a_transaction(shop: Shop) -> None:
    with transaction(), pytest.raises(AssertionError):
        vault.redeem(shop.actor, "tok_x")
