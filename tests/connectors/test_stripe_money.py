"""Minor units at the edge, disputes, and balance transactions as settlement."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import settings
from app.connectors import base, settling
from app.connectors.stripe import api, settlement
from app.connectors.stripe.amounts import NotChargeable, NotCountable, from_stripe, to_stripe
from app.connectors.subjects import NamesSubjects
from app.kit import clock
from tests.connectors.conftest import Caller, context

# --- amounts


@pytest.mark.parametrize(
    ("ours", "currency", "theirs"),
    [
        (1050, "GBP", 1050),
        (500, "JPY", 500),
        (1, "ISK", 100),
        (1, "UGX", 100),
        (1230, "KWD", 1230),
        (99, "RSD", 9900),
        (12345, "HUF", 12345),
        (999_999_999_999, "USD", 999_999_999_999),
    ],
)
def test_amounts_both_ways(ours: int, currency: str, theirs: int) -> None:
    assert to_stripe(ours, currency) == theirs
    assert from_stripe(theirs, currency) == from_stripe(theirs, currency.lower()) == ours
    assert from_stripe(-theirs, currency) == -ours


@pytest.mark.parametrize(
    ("ours", "currency"),
    [(0, "GBP"), (-1, "GBP"), (10**12, "USD"), (5124, "KWD"), (10**10, "ISK"), (10**12, "JPY")],
)
def test_amounts_that_stripe_has_not(ours: int, currency: str) -> None:
    with pytest.raises(NotChargeable):
        to_stripe(ours, currency)


@pytest.mark.parametrize(
    ("largest", "currency"), [(99_999_999, "EUR"), (9_999_999_999, "COP"), (999_999_999, "INR")]
)
def test_other_methods_than_cards_take_less(largest: int, currency: str) -> None:
    assert to_stripe(largest, currency, by_card=False) == largest
    with pytest.raises(NotChargeable):
        to_stripe(largest + 1, currency, by_card=False)


def test_amounts_that_we_have_not() -> None:
    with pytest.raises(NotCountable):
        from_stripe(550, "isk")


@given(
    st.sampled_from(["GBP", "JPY", "ISK", "UGX", "KWD", "RSD", "MGA", "HUF", "TWD"]), st.integers(1, 99_999)
)
def test_what_is_sent_comes_back(currency: str, amount: int) -> None:
    ours = amount * 10 if currency == "KWD" else amount
    assert from_stripe(to_stripe(ours, currency), currency) == ours


# --- disputes


def book(stripe: Caller) -> Any:
    assert stripe.standin is not None
    return stripe.standin.account("sk_test_of_ten_a")


def test_it_has_the_capabilities() -> None:
    from app.connectors import registry

    for capability in (base.Disputes, base.TokenizesRedirects, NamesSubjects, settling.Settles):
        assert isinstance(registry.get("stripe"), capability)


def test_a_dispute_as_it_stands(stripe: Caller) -> None:
    reference = stripe.captured("pm_card_visa")
    made = book(stripe).dispute(reference)
    found = stripe.connector.find_dispute(stripe.context, made["id"])
    assert found == base.GatewayDispute(
        reference=made["id"],
        payment_reference=reference,
        kind=base.DisputeKind.CHARGEBACK,
        status=base.GatewayDisputeStatus.NEEDS_RESPONSE,
        amount=1500,
        currency="GBP",
        reason_code="fraud",
        received_at=datetime.fromtimestamp(made["created"], UTC),
        evidence_due_at=datetime.fromtimestamp(made["evidence_details"]["due_by"], UTC),
        fee=1500,
    )


@pytest.mark.parametrize(
    ("theirs", "kind", "status"),
    [
        ("under_review", "chargeback", "under_review"),
        ("won", "chargeback", "won"),
        ("lost", "chargeback", "lost"),
        ("warning_needs_response", "inquiry", "warning"),
        ("warning_under_review", "inquiry", "warning"),
        ("warning_closed", "inquiry", "closed"),
        ("prevented", "chargeback", "won"),
    ],
)
def test_statuses_of_disputes(stripe: Caller, theirs: str, kind: str, status: str) -> None:
    made = book(stripe).dispute(stripe.captured("pm_card_visa"), "product_not_received", theirs)
    made["evidence_details"]["due_by"] = 0
    found = stripe.connector.find_dispute(stripe.context, made["id"])
    assert (found.kind, found.status, found.reason_code) == (kind, status, "product_not_received")
    assert found.evidence_due_at is None


def test_an_early_fraud_warning(stripe: Caller) -> None:
    reference = stripe.captured("pm_card_visa")
    warning = book(stripe).warning(reference)
    found = stripe.connector.find_dispute(stripe.context, warning["id"])
    assert (found.kind, found.status, found.amount) == ("early_fraud_warning", "warning", 1500)
    assert found.payment_reference == reference
    request = base.EvidenceRequest("evidence_1", warning["id"], "text")
    assert isinstance(stripe.connector.submit_evidence(stripe.context, request), base.Declined)
    accepted = stripe.connector.accept_dispute(stripe.context, base.AcceptRequest("accept_1", warning["id"]))
    assert accepted == found


def test_a_dispute_in_another_currency_than_its_fee_names_no_fee(stripe: Caller) -> None:
    made = book(stripe).dispute(stripe.captured("pm_card_visa"))
    made["balance_transactions"][0]["currency"] = "usd"
    assert stripe.connector.find_dispute(stripe.context, made["id"]).fee == 0


def test_no_such_dispute_and_no_answer(stripe: Caller) -> None:
    assert isinstance(stripe.connector.find_dispute(stripe.context, "du_none"), base.NotFound)
    stripe.standin.fail("GET /v1/disputes/.*", status=500, body=b"{}")
    assert isinstance(stripe.connector.find_dispute(stripe.context, "du_none"), base.Unknown)


def test_evidence_goes_once_and_for_good(stripe: Caller) -> None:
    made = book(stripe).dispute(stripe.captured("pm_card_visa"))
    request = base.EvidenceRequest(
        "evidence_dp_1",
        made["id"],
        "They signed for it.",
        (
            base.EvidenceDocument("receipt", b"%PDF-1.7 one", "application/pdf", "receipt.pdf"),
            base.EvidenceDocument("receipt", b"%PDF-1.7 two", "application/pdf", "second.pdf"),
            base.EvidenceDocument("photo", b"\x89PNG\r\n\x1a\n", "image/png"),
            base.EvidenceDocument("tracking", url="https://parcel.example/7"),
        ),
    )
    found = stripe.connector.submit_evidence(stripe.context, request)
    assert found.status == "under_review"
    files = {o["id"]: o for o in book(stripe).objects.values() if o["object"] == "file"}
    evidence = made["evidence"]
    assert evidence["uncategorized_text"] == "They signed for it.\nhttps://parcel.example/7"
    assert files[evidence["receipt"]]["_content"] == b"%PDF-1.7 one"
    assert files[evidence["uncategorized_file"]]["filename"] == "second.pdf"
    assert files[evidence["shipping_documentation"]]["_content"] == b"\x89PNG\r\n\x1a\n"
    assert stripe.connector.submit_evidence(stripe.context, request) == found
    assert len([o for o in book(stripe).objects.values() if o["object"] == "file"]) == 3
    again = base.EvidenceRequest("evidence_dp_2", made["id"], "One more thing")
    assert isinstance(stripe.connector.submit_evidence(stripe.context, again), base.Declined)


def test_more_documents_than_places(stripe: Caller) -> None:
    made = book(stripe).dispute(stripe.captured("pm_card_visa"))
    documents = tuple(base.EvidenceDocument("other", b"x") for _ in range(10))
    request = base.EvidenceRequest("evidence_1", made["id"], "", documents)
    assert isinstance(stripe.connector.submit_evidence(stripe.context, request), base.Declined)
    assert made["status"] == "needs_response"


def test_giving_in(stripe: Caller) -> None:
    made = book(stripe).dispute(stripe.captured("pm_card_visa"))
    for number in range(2):
        request = base.AcceptRequest(f"accept_{number}", made["id"])
        assert stripe.connector.accept_dispute(stripe.context, request).status == "lost"
    made["status"] = "won"
    late = stripe.connector.accept_dispute(stripe.context, base.AcceptRequest("accept_3", made["id"]))
    assert late == base.Declined("accept_refused", made["id"])
    none = stripe.connector.accept_dispute(stripe.context, base.AcceptRequest("accept_4", "du_none"))
    assert isinstance(none, base.NotFound)


@pytest.mark.parametrize(
    "fault", [{"status": 500, "body": b"{}"}, {"drop": "before"}, {"status": 401, "body": b"{}"}]
)
def test_a_step_without_an_answer_is_unknown(stripe: Caller, fault: dict[str, Any]) -> None:
    made = book(stripe).dispute(stripe.captured("pm_card_visa"))
    stripe.standin.fail("POST /v1/disputes/.*", **fault)
    request = base.EvidenceRequest("evidence_1", made["id"], "text")
    assert isinstance(stripe.connector.submit_evidence(stripe.context, request), base.Unknown)
    stripe.standin.fail("POST /v1/disputes/.*/close", **fault)
    accept = base.AcceptRequest("accept_1", made["id"])
    assert isinstance(stripe.connector.accept_dispute(stripe.context, accept), base.Unknown)


# --- settlement

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def a_day(stripe: Caller, at: datetime, currency: str = "GBP") -> str:
    """A day's business: a charge with a refund, and a dispute; the payment's reference."""
    with clock.frozen(at):
        reference = stripe.authorize("pm_card_visa", currency=currency).reference
        stripe.capture(reference, currency=currency)
        stripe.refund(reference, 400, currency=currency)
        book(stripe).dispute(reference)
        book(stripe).transaction("stripe_fee", -200, currency.lower(), "fee_1")
        book(stripe).transaction("payout", -5000, currency.lower(), "po_1")["available_on"] -= 2 * 86400
    return str(reference)


def read(stripe: Caller, batch: str) -> list[settling.SettlementLine]:
    lines: list[settling.SettlementLine] = []
    cursor: str | None = None
    while True:
        page = stripe.connector.settlement_lines(stripe.context, batch, cursor)
        assert isinstance(page, settling.SettlementPage)
        lines += page.lines
        cursor = page.next_cursor
        if cursor is None:
            return lines


def test_a_day_is_a_statement(stripe: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PAGE", 2)
    monkeypatch.setattr(settlement, "FIRST_DAYS", 3)
    reference = a_day(stripe, NOON)
    with clock.frozen(NOON + timedelta(days=2)):
        found = stripe.connector.settlement_batches(stripe.context, None)
    assert isinstance(found, settling.SettlementBatches)
    assert found.complete_until == datetime(2026, 11, 22, tzinfo=UTC)
    [batch] = found.batches
    assert (batch.reference, batch.currency) == ("2026-11-20.gbp", "GBP")
    assert batch.settled_at == datetime(2026, 11, 21, tzinfo=UTC)
    assert batch.available_on == NOON + timedelta(days=2)
    lines = {line.type: line for line in read(stripe, batch.reference)}
    assert {kind: (line.gross, line.fee, line.net) for kind, line in lines.items()} == {
        "charge": (1500, 73, 1427),
        "refund": (-400, 0, -400),
        "dispute": (-1500, 1500, -3000),
        "fee": (-200, 0, -200),
        "payout": (-5000, 0, -5000),
    }
    assert lines[settling.LineType.CHARGE].reference == reference
    refunded = [o["id"] for o in book(stripe).objects.values() if o["object"] == "refund"]
    assert [lines[settling.LineType.REFUND].reference] == refunded
    assert all(line.net == line.gross - line.fee for line in lines.values())
    assert lines[settling.LineType.CHARGE].available_on == NOON + timedelta(days=2)


@pytest.mark.parametrize("shared", [False, True])
def test_a_capture_in_part_is_one_line_of_what_was_captured(
    stripe: Caller, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    """Stripe books all that was authorised, and the rest back as a refund that carries no metadata."""
    monkeypatch.setattr(settlement, "FIRST_DAYS", 3)
    if shared:
        house = "sk_test_of_ten_a"
        settings.use(settings.load(**{**settings.current().model_dump(), "stripe_secret_key": house}))
        stripe = replace(stripe, context=context())
    with clock.frozen(NOON):
        reference = stripe.authorize("pm_card_visa").reference
        stripe.capture(reference, 600)
        refund = stripe.refund(reference, 100).reference
    with clock.frozen(NOON + timedelta(days=2)):
        [batch] = stripe.connector.settlement_batches(stripe.context, None).batches
    lines = {line.type: line for line in read(stripe, batch.reference)}
    assert {kind: (line.reference, line.gross, line.fee, line.net) for kind, line in lines.items()} == {
        "charge": (reference, 600, 47, 553),
        "refund": (refund, -100, 0, -100),
    }
    assert len(read(stripe, batch.reference)) == 2


def test_a_currency_that_has_been_paid_out_meanwhile_is_read_too(
    stripe: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the balance shows today says nothing of what moved on an earlier day."""
    monkeypatch.setattr(settlement, "FIRST_DAYS", 3)
    a_day(stripe, NOON)
    monkeypatch.setattr(
        book(stripe), "balance", lambda: {"object": "balance", "available": [], "pending": []}
    )
    with clock.frozen(NOON + timedelta(days=2)):
        found = stripe.connector.settlement_batches(stripe.context, None)
    assert [batch.reference for batch in found.batches] == ["2026-11-20.gbp"]


def test_each_currency_and_day_by_itself(stripe: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settlement, "FIRST_DAYS", 6)
    a_day(stripe, NOON)
    a_day(stripe, NOON, "EUR")
    a_day(stripe, NOON + timedelta(days=1))
    with clock.frozen(NOON + timedelta(days=5)):
        found = stripe.connector.settlement_batches(stripe.context, None)
        assert [b.reference for b in found.batches] == ["2026-11-20.eur", "2026-11-20.gbp", "2026-11-21.gbp"]
        since = stripe.connector.settlement_batches(stripe.context, datetime(2026, 11, 22, tzinfo=UTC))
        assert [b.reference for b in since.batches] == ["2026-11-21.gbp"]
        later = stripe.connector.settlement_batches(stripe.context, datetime(2026, 11, 22, 1, tzinfo=UTC))
        assert later.batches == ()


def test_merchants_who_share_an_account_see_their_own_lines(
    stripe: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement, "FIRST_DAYS", 3)
    house = "sk_test_of_ten_a"
    settings.use(settings.load(**{**settings.current().model_dump(), "stripe_secret_key": house}))
    ours, theirs = (replace(stripe, context=context(tenant)) for tenant in ("ten_a", "ten_b"))
    reference = a_day(ours, NOON)
    a_day(theirs, NOON)
    a_day(theirs, NOON - timedelta(days=1))
    with clock.frozen(NOON + timedelta(days=2)):
        found = ours.connector.settlement_batches(ours.context, None)
        assert [batch.reference for batch in found.batches] == ["2026-11-20.gbp"]
        assert len(theirs.connector.settlement_batches(theirs.context, None).batches) == 2
    lines = read(ours, "2026-11-20.gbp")
    assert sorted(line.type for line in lines) == ["charge", "dispute", "refund"]
    assert [line.reference for line in lines if line.type == "charge"] == [reference]
    assert not {line.line_id for line in lines} & {line.line_id for line in read(theirs, "2026-11-20.gbp")}


def test_what_is_refunded_in_stripes_dashboard_is_on_the_statement_of_its_merchant(
    stripe: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a shared account: Stripe's own refund names no merchant, its payment does."""
    monkeypatch.setattr(settlement, "FIRST_DAYS", 3)
    house = "sk_test_of_ten_a"
    settings.use(settings.load(**{**settings.current().model_dump(), "stripe_secret_key": house}))
    ours, theirs = (replace(stripe, context=context(tenant)) for tenant in ("ten_a", "ten_b"))
    with clock.frozen(NOON):
        reference, other = (caller.authorize("pm_card_visa").reference for caller in (ours, theirs))
        ours.capture(reference)
        theirs.capture(other)
        theirs.refund(other, 300)
        made = book(stripe).create_refund({"payment_intent": reference, "amount": "250"})
    asked = len(stripe.standin.sent("GET /v1/payment_intents/.*"))
    with clock.frozen(NOON + timedelta(days=2)):
        lines = {line.reference: line.gross for line in read(ours, "2026-11-20.gbp")}
        others = [line.gross for line in read(theirs, "2026-11-20.gbp")]
    assert lines == {reference: 1500, made["id"]: -250}
    assert sorted(others) == [-300, 1500]
    looked = len(stripe.standin.sent("GET /v1/payment_intents/.*")) - asked
    assert looked == 2, "what names its merchant is not looked up"


def test_a_day_is_closed_an_hour_after_its_end(stripe: Caller) -> None:
    a_day(stripe, NOON)
    for at, closed in (
        (datetime(2026, 11, 20, 23, 59, tzinfo=UTC), 0),
        (datetime(2026, 11, 21, 0, 59, tzinfo=UTC), 0),
        (datetime(2026, 11, 21, 1, 0, tzinfo=UTC), 1),
    ):
        with clock.frozen(at):
            found = stripe.connector.settlement_batches(stripe.context, NOON)
            assert len(found.batches) == closed


def test_no_answer_is_unknown(stripe: Caller) -> None:
    stripe.standin.fail("GET /v1/balance_transactions", status=500, body=b"{}")
    assert isinstance(stripe.connector.settlement_batches(stripe.context, None), base.Unknown)
    stripe.standin.fail("GET /v1/balance_transactions", drop="before")
    page = stripe.connector.settlement_lines(stripe.context, "2026-11-20.gbp", None)
    assert isinstance(page, base.Unknown)
