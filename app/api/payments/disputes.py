"""PY-028 to PY-033: disputes and their evidence."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.models.payments.dispute import Dispute
from app.services.payments import dispute_evidence, disputes
from app.services.payments.dispute_evidence import EvidenceDraft
from app.services.payments.disputes import DisputeDraft, Filters
from app.web import periods
from app.web.dispute_views import DisputeView, EvidenceView, SubmissionView
from app.web.schemas import Body, Integer, Listing, NumberedQuery, either, pages_of
from app.web.surface import Idempotency

Status = Literal["warning", "needs_response", "under_review", "won", "lost", "closed"]
Word = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,31}$")]


class DisputeCreate(Body):
    """A dispute that no gateway tells of; `reason_code`: `fraud`, `product_not_received` or another word."""

    charge_id: str = Field(min_length=1, max_length=64)
    amount: Integer = Field(gt=0)
    reason_code: Word
    received_at: periods.Moment | None = None


class EvidenceItem(Body):
    """A document: `upload_id` (or an upload's `url`), or a link of your own, which is handed on unopened.

    `type` is a format (`pdf`, `png`, `jpeg`, `text`) or what it shows (`receipt`, `shipping_proof` …).
    """

    type: Word
    url: str | None = Field(None, min_length=1, max_length=2000)
    upload_id: str | None = Field(None, min_length=1, max_length=64)


class EvidenceSubmit(Body):
    """Everything that is to be said: it is sent once."""

    evidence: list[EvidenceItem] = Field(default_factory=list, max_length=20)
    notes: str | None = Field(None, max_length=20_000)


class Close(Body):
    """How it ended (of an open one: `accepted`), and the words of the accounting note."""

    outcome: Literal["accepted", "won", "lost"] | None = None
    note: str = Field("", max_length=2000)


class DisputeQuery(NumberedQuery):
    """Which disputes; `date_range` is `from..to`. Days are whole and in UTC, the last one included."""

    status: Status | None = None
    from_: periods.Since | None = Field(None, alias="from")
    to: periods.Until | None = None
    date_range: periods.Range | None = None
    merchant_account_id: str | None = Field(None, min_length=1, max_length=40)
    merchant_account: str | None = Field(None, min_length=1, max_length=40)

    def filters(self) -> Filters:
        """What the service takes.

        Raises:
            InvalidRequest: a filter and its alias say different things.
        """
        since, until = self.date_range or (None, None)
        account = either("merchant_account", self.merchant_account_id, self.merchant_account)
        return Filters(
            status=self.status,
            merchant_account_id=account,
            since=either("date_range", self.from_, since),
            until=either("date_range", self.to, until),
        )


@surface.post(
    "/disputes", "PY-028", body=DisputeCreate, returns=DisputeView, status=201, permission="disputes:write"
)
def create(actor: Actor, body: DisputeCreate) -> DisputeView:
    """Enter a dispute by hand; gateways tell of theirs by webhook."""
    draft = DisputeDraft(body.charge_id, body.amount, body.reason_code, body.received_at)
    return DisputeView.of(disputes.create(actor, draft))


@surface.get("/disputes/{dispute_id}", "PY-029", returns=DisputeView, permission="disputes:read")
def get(actor: Actor, dispute_id: str) -> DisputeView:
    """Read a dispute."""
    return _view(actor, disputes.get(actor, dispute_id))


@surface.post(
    "/disputes/{dispute_id}/submit-evidence",
    "PY-030",
    body=EvidenceSubmit,
    returns=SubmissionView,
    permission="disputes:write",
    idempotency=Idempotency.LEASED,
)
def submit_evidence(actor: Actor, dispute_id: str, body: EvidenceSubmit) -> SubmissionView:
    """Hand in evidence before its due date; it is sent to the gateway once."""
    items = [EvidenceDraft(item.type, item.url, item.upload_id) for item in body.evidence]
    made = dispute_evidence.submit(actor, dispute_id, items, body.notes)
    rows = [item for item, of in dispute_evidence.of_dispute(actor, dispute_id) if of.id == made.id]
    return SubmissionView.of(made, disputes.get(actor, dispute_id), rows)


@surface.get(
    "/disputes/{dispute_id}/evidence",
    "PY-031",
    returns=Listing[EvidenceView],
    permission="disputes:read",
)
def evidence(actor: Actor, dispute_id: str) -> Listing[EvidenceView]:
    """List what was handed in, oldest first."""
    rows = [EvidenceView.of(item, made) for item, made in dispute_evidence.of_dispute(actor, dispute_id)]
    return Listing[EvidenceView](data=rows, has_more=False, next_cursor=None)


@surface.post(
    "/disputes/{dispute_id}/close",
    "PY-032",
    body=Close,
    returns=DisputeView,
    permission="disputes:write",
    idempotency=Idempotency.LEASED,
)
def close(actor: Actor, dispute_id: str, body: Close) -> DisputeView:
    """Close a decided dispute, or give in to an open one; the books get a note."""
    return _view(actor, disputes.close(actor, dispute_id, body.outcome, body.note))


@surface.get(
    "/disputes",
    "PY-033",
    query=DisputeQuery,
    returns=pages_of(DisputeView),
    permission="disputes:read",
)
def list_page(actor: Actor, query: DisputeQuery) -> Listing[DisputeView]:
    """List disputes, the newest first; by `cursor`, or by `page` with a total."""
    page = disputes.list_page(actor, query.filters(), **query.place())
    notes = disputes.notes_of(actor, [row.id for row in page.data])
    return Listing[DisputeView].of(page, lambda row: DisputeView.of(row, notes.get(row.id)))


def _view(actor: Actor, row: Dispute) -> DisputeView:
    return DisputeView.of(row, disputes.notes_of(actor, [row.id]).get(row.id))
