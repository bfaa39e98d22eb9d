"""CK-061 to CK-063, CK-066: failed checkouts, what is done about them, notes, and the timeline."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.api.checkout.session_views import SessionView, answer
from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.services.checkout import failures, resolutions, support_notes, timelines
from app.services.checkout.failures import Failure, Filters
from app.services.checkout.resolutions import Resolution
from app.web import periods
from app.web.endpoint import Answer
from app.web.schemas import Body, Instant, Integer, Listing, PageQuery, View
from app.web.surface import Idempotency

_NOTE = 2000


class FailureQuery(PageQuery):
    """Which failures; `rolled_back` are sales that were undone."""

    reason: Literal["payment_declined", "inventory", "fraud", "validation", "rolled_back"] | None = None
    from_: periods.Since | None = Field(None, alias="from")
    to: periods.Until | None = None


class FailureView(View):
    """A failed checkout; `amount` in minor units, `explain.reason` is `<reason>[:<detail>]`."""

    checkout_id: str
    status: str
    reason: str | None
    explain: dict[str, Any]
    amount: int
    currency: str
    payment_intent_id: str | None
    payment_attempts: int
    failed_at: Instant
    created_at: Instant
    livemode: bool

    @classmethod
    def of(cls, found: Failure) -> FailureView:
        """The view of a failure."""
        row = found.session
        return cls.model_construct(
            checkout_id=row.id,
            status=row.status,
            reason=row.failure_reason,
            explain=found.explain,
            amount=row.grand_total,
            currency=row.currency,
            payment_intent_id=row.payment_intent_id,
            payment_attempts=row.payment_attempts,
            failed_at=found.at,
            created_at=row.created_at,
            livemode=row.mode == "live",
        )


class Resolve(Body):
    """What is to be done: a discount has an amount (minor units) or whole percents, an override a note."""

    action: Literal["replace_payment_method", "manual_override", "apply_discount"]
    note: str | None = Field(None, max_length=_NOTE)
    payment_method_id: str | None = Field(None, min_length=1, max_length=64)
    amount: Integer | None = Field(None, ge=1, le=2**53)
    percent: Integer | None = Field(None, ge=1, le=100)


class NoteCreate(Body):
    """What is to be remembered; without an author it is the caller's."""

    note: str = Field(min_length=1, max_length=_NOTE)
    author: str | None = Field(None, min_length=1, max_length=200)


class NoteView(View):
    """A note as it is kept."""

    note_id: str
    checkout_id: str
    note: str
    author: str
    created_at: Instant


class EntryView(View):
    """Something that happened; `details` are facts of the entity after it."""

    id: str
    at: Instant
    type: str
    entity: str
    entity_id: str
    from_status: str | None
    to_status: str | None
    cause: str | None
    actor_kind: str | None
    actor_id: str | None
    on_behalf_of: str | None
    payment_intent_id: str | None
    correlation_id: str | None
    details: dict[str, Any]


@surface.get(
    "/failures",
    "CK-061",
    query=FailureQuery,
    returns=Listing[FailureView],
    permission="checkout:read",
)
def failed(actor: Actor, query: FailureQuery) -> Listing[FailureView]:
    """List failed checkouts with reasons."""
    which = Filters(query.reason, query.from_, query.to)
    page = failures.list_page(actor, which, limit=query.limit, cursor=query.cursor)
    return Listing.of(page, FailureView.of)


@surface.post(
    "/sessions/{checkout_id}/resolve",
    "CK-062",
    body=Resolve,
    returns=SessionView,
    permission="checkout:write",
    idempotency=Idempotency.LEASED,
)
def resolve(actor: Actor, checkout_id: str, body: Resolve) -> Answer:
    """Take an action on a failed session."""
    return answer(actor, resolutions.resolve(actor, checkout_id, Resolution(**body.model_dump())))


@surface.post(
    "/sessions/{checkout_id}/support-note",
    "CK-063",
    body=NoteCreate,
    returns=NoteView,
    status=201,
    permission="checkout:write",
)
def note(actor: Actor, checkout_id: str, body: NoteCreate) -> NoteView:
    """Attach a note for support."""
    kept = support_notes.add(actor, checkout_id, body.note, author=body.author)
    return NoteView(
        note_id=kept.id,
        checkout_id=kept.checkout_id,
        note=kept.text,
        author=kept.author,
        created_at=kept.created_at,
    )


@surface.get(
    "/sessions/{checkout_id}/timeline",
    "CK-066",
    query=PageQuery,
    returns=Listing[EntryView],
    permission="checkout:read",
)
def timeline(actor: Actor, checkout_id: str, query: PageQuery) -> Listing[EntryView]:
    """Read the events of the session in time order."""
    page = timelines.page(actor, checkout_id, limit=query.limit, cursor=query.cursor)
    return Listing.of(page, EntryView.model_validate)
