"""What every connector that tells of disputes must do: find, take evidence once, let the merchant give in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from app.connectors import base
from app.connectors.sandbox import book
from app.db import reading
from tests import databases
from tests.buyers import together
from tests.connectors.conftest import Caller, places
from tests.shops import later

DAY = 86_400


def _sandbox(caller: Caller) -> tuple[str, str]:
    payment = caller.captured("4000000000000259")
    with reading() as db:
        rows = db.execute(
            select(book.disputes).where(book.disputes.c.payment_reference == payment)
        ).mappings()
        return payment, rows.one()["reference"]


def _stripe(caller: Caller) -> tuple[str, str]:
    assert caller.standin is not None
    payment = caller.captured("pm_card_visa")
    made = caller.standin.account(caller.context.credentials["secret_key"]).dispute(payment)
    return payment, made["id"]


#: How a fresh chargeback of 1,500 comes about: (payment, dispute).
OPENERS: dict[str, Callable[[Caller], tuple[str, str]]] = {"sandbox": _sandbox, "stripe": _stripe}
PLACES = places(base.Disputes)


@pytest.fixture(params=PLACES, ids="-".join)
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A connector's name, and the kind of database."""
    name, kind = request.param
    return name, kind


@pytest.fixture
def database(place: tuple[str, str], request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with databases.fresh(place[1], request, tmp_path) as address:
        yield address


@pytest.fixture
def dispute(caller: Caller) -> base.GatewayDispute:
    payment, reference = OPENERS[caller.connector.name](caller)
    found = caller.connector.find_dispute(caller.context, reference)
    assert isinstance(found, base.GatewayDispute)
    assert found.payment_reference == payment
    return found


def evidence(
    caller: Caller, dispute: base.GatewayDispute, key: str, text: str, *documents: base.EvidenceDocument
) -> base.DisputeResult:
    request = base.EvidenceRequest(key, dispute.reference, text, documents)
    result: base.DisputeResult = caller.connector.submit_evidence(caller.context, request)
    return result


def now(caller: Caller, dispute: base.GatewayDispute) -> base.GatewayDispute:
    found = caller.connector.find_dispute(caller.context, dispute.reference)
    assert isinstance(found, base.GatewayDispute)
    return found


def test_a_fresh_dispute_says_what_is_at_stake(caller: Caller, dispute: base.GatewayDispute) -> None:
    assert (dispute.kind, dispute.status) == (base.DisputeKind.CHARGEBACK, "needs_response")
    assert (dispute.amount, dispute.currency, dispute.reason_code) == (1500, "GBP", "fraud")
    assert dispute.evidence_due_at is not None
    assert dispute.evidence_due_at > dispute.received_at


def test_nobody_elses_dispute_is_found(caller: Caller, dispute: base.GatewayDispute) -> None:
    assert isinstance(caller.connector.find_dispute(caller.context, "nobody"), base.NotFound)
    stranger = caller.stranger()
    asked = base.AcceptRequest("accept_1", dispute.reference)
    assert isinstance(stranger.connector.find_dispute(stranger.context, dispute.reference), base.NotFound)
    assert isinstance(stranger.connector.accept_dispute(stranger.context, asked), base.NotFound)
    assert isinstance(evidence(stranger, dispute, "evidence_1", "winning_evidence"), base.NotFound)
    assert now(caller, dispute) == dispute


@pytest.mark.parametrize(("text", "outcome"), [("winning_evidence", "won"), ("losing_evidence", "lost")])
def test_evidence_is_reviewed_and_decided(
    caller: Caller, dispute: base.GatewayDispute, text: str, outcome: str
) -> None:
    taken = evidence(caller, dispute, "evidence_1", text)
    assert isinstance(taken, base.GatewayDispute)
    assert taken.status == "under_review"
    assert now(caller, dispute) == taken == evidence(caller, dispute, "evidence_1", text)
    assert isinstance(evidence(caller, dispute, "evidence_2", "other words"), base.Declined)
    with later(60):
        assert now(caller, dispute).status == outcome


def test_a_document_of_plain_text_is_read_too(caller: Caller, dispute: base.GatewayDispute) -> None:
    letter = base.EvidenceDocument("text", b"winning_evidence", "text/plain", "letter.txt")
    picture = base.EvidenceDocument("png", b"losing_evidence", "image/png", "a.png")
    link = base.EvidenceDocument("pdf", url="https://files.example.com/a.pdf")
    assert isinstance(evidence(caller, dispute, "evidence_1", "", link, picture, letter), base.GatewayDispute)
    with later(60):
        assert now(caller, dispute).status == "won"


def test_giving_in_loses_and_may_be_repeated(caller: Caller, dispute: base.GatewayDispute) -> None:
    for key in ("accept_1", "accept_1", "accept_2"):
        given = caller.connector.accept_dispute(caller.context, base.AcceptRequest(key, dispute.reference))
        assert isinstance(given, base.GatewayDispute)
        assert given.status == "lost"
    assert isinstance(evidence(caller, dispute, "evidence_1", "winning_evidence"), base.Declined)


def test_what_is_under_review_cannot_be_given_up(caller: Caller, dispute: base.GatewayDispute) -> None:
    evidence(caller, dispute, "evidence_1", "words")
    asked = base.AcceptRequest("accept_1", dispute.reference)
    assert isinstance(caller.connector.accept_dispute(caller.context, asked), base.Declined)


def test_without_evidence_it_is_lost_at_its_due_date(caller: Caller, dispute: base.GatewayDispute) -> None:
    with later(9 * DAY):
        assert now(caller, dispute).status == "needs_response"
    with later(11 * DAY):
        assert now(caller, dispute).status == "lost"
        assert isinstance(evidence(caller, dispute, "evidence_1", "winning_evidence"), base.Declined)


def test_of_sixteen_answers_one_is_taken(caller: Caller, dispute: base.GatewayDispute) -> None:
    answers = together(16, lambda number: evidence(caller, dispute, f"evidence_{number}", "winning_evidence"))
    assert sum(isinstance(answer, base.GatewayDispute) for answer in answers) == 1
    assert sum(isinstance(answer, base.Declined) for answer in answers) == 15


def test_what_is_disputed_is_not_refunded_until_it_is_won(
    caller: Caller, dispute: base.GatewayDispute
) -> None:
    refused = caller.refund(dispute.payment_reference, 100)
    assert isinstance(refused, base.Declined)
    assert refused.code == "charge_disputed"
    evidence(caller, dispute, "evidence_1", "winning_evidence")
    with later(60):
        assert isinstance(caller.refund(dispute.payment_reference, 1500), base.Approved)
