"""PY-044 to PY-047: settlements."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.services.treasury import settlements
from app.services.treasury.settlements import Filters
from app.web import periods
from app.web.job_views import JobAccepted
from app.web.schemas import Body, Listing, NumberedQuery, PageQuery, either, pages_of
from app.web.settlement_views import SettlementDetail, SettlementView


class SettlementSync(Body):
    """Which connector to read; without one all that are in use."""

    connector_id: str | None = Field(None, min_length=1, max_length=64)


class ListQuery(NumberedQuery):
    """Filters; `date_range` is `from..to` in days of settlement, `connector` the same as `connector_id`."""

    status: Literal["pending", "posted", "reconciled"] | None = None
    connector_id: str | None = Field(None, min_length=1, max_length=64)
    connector: str | None = Field(None, min_length=1, max_length=64)
    from_: periods.Since | None = Field(None, alias="from")
    to: periods.Until | None = None
    date_range: periods.Range | None = None

    def filters(self) -> Filters:
        """What the service takes.

        Raises:
            InvalidRequest: a filter and its alias say different things.
        """
        since, until = self.date_range or (None, None)
        return Filters(
            status=self.status,
            connector_id=either("connector", self.connector_id, self.connector),
            since=either("date_range", self.from_, since),
            until=either("date_range", self.to, until),
        )


@surface.post(
    "/connectors/{connector_id}/run-settlement",
    "PY-044",
    returns=JobAccepted,
    status=202,
    permission="settlements:write",
)
def run(actor: Actor, connector_id: str) -> JobAccepted:
    """Have one connector's settlements read now."""
    return JobAccepted.of(settlements.request_sync(actor, connector_id))


@surface.get(
    "/settlements",
    "PY-045",
    query=ListQuery,
    returns=pages_of(SettlementView),
    permission="settlements:read",
)
def list_all(actor: Actor, query: ListQuery) -> Listing[SettlementView]:
    """List settlement batches, the latest first; by `cursor`, or by `page` with a total."""
    page = settlements.list_page(actor, query.filters(), **query.place())
    return Listing[SettlementView].of(page, SettlementView.of)


@surface.post(
    "/settlements/sync",
    "PY-046",
    body=SettlementSync,
    returns=JobAccepted,
    status=202,
    permission="settlements:write",
)
def sync(actor: Actor, body: SettlementSync) -> JobAccepted:
    """Have the settlements of one connector, or of every one in use, read now."""
    return JobAccepted.of(settlements.request_sync(actor, body.connector_id))


@surface.get(
    "/settlements/{settlement_id}",
    "PY-047",
    query=PageQuery,
    returns=SettlementDetail,
    permission="settlements:read",
)
def get(actor: Actor, settlement_id: str, query: PageQuery) -> SettlementDetail:
    """Read a settlement with its transactions, a page of them at a time."""
    page = settlements.lines(actor, settlement_id, limit=query.limit, cursor=query.cursor)
    return SettlementDetail.with_lines(settlements.get(actor, settlement_id), page.data, page.next_cursor)
