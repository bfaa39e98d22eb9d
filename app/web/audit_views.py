"""The audit as the surfaces show it: what is looked for, and each entry with its proof."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.domain.actor import Actor
from app.services.events import inspection
from app.services.events.inspection import Filters, Proven
from app.web.periods import Since, Until
from app.web.schemas import Instant, Listing, NumberedQuery, View


class AuditQuery(NumberedQuery):
    """What is looked for; `action` is an event type, or all of a kind as `api_key.*`."""

    actor: str | None = Field(None, min_length=1, max_length=64)
    action: str | None = Field(None, min_length=1, max_length=64)
    since: Since | None = Field(None, alias="from")
    until: Until | None = Field(None, alias="to")


class AuditEntryView(View):
    """An entry with its place in the hash chain; `intact` is null until it has one."""

    id: str
    action: str
    entity: str
    entity_id: str
    actor: str
    actor_kind: str
    on_behalf_of: str | None
    cause: str
    from_status: str | None
    to_status: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    correlation_id: str
    created_at: Instant
    sequence: int | None
    previous_hash: str | None
    hash: str | None
    intact: bool | None

    @classmethod
    def of(cls, found: Proven) -> AuditEntryView:
        """The view of an entry."""
        row = found.entry
        return cls(
            id=row.id,
            action=row.type,
            entity=row.entity,
            entity_id=row.entity_id,
            actor=row.actor_id,
            actor_kind=row.actor_kind,
            on_behalf_of=row.on_behalf_of,
            cause=row.cause,
            from_status=row.from_status,
            to_status=row.to_status,
            before=row.data.get("before"),
            after=row.data.get("after"),
            correlation_id=row.correlation_id,
            created_at=row.created_at,
            sequence=row.sequence,
            previous_hash=found.previous_hash,
            hash=row.hash,
            intact=found.intact,
        )


def search(actor: Actor, query: AuditQuery, filters: Filters | None = None) -> Listing[AuditEntryView]:
    """A page of the entries that a query, or `filters` made of it, finds."""
    filters = filters or Filters(query.actor, query.action, query.since, query.until)
    return Listing[AuditEntryView].of(inspection.search(actor, filters, **query.place()), AuditEntryView.of)
