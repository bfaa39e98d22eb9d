"""The idempotency inspector: a key, the first request under it, and what differed when it came again."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, Response, request

from app.dashboard.shell import actor, render, screen
from app.kit import clock
from app.models.operations.idempotency import IdempotencyRecord
from app.services.access import keys
from app.services.operations import idempotency_inspection

blueprint = Blueprint("idempotency", __name__, url_prefix="/dashboard/<any(test, live):mode>/idempotency")

READ = "health:read"


@blueprint.get("")
@screen(READ)
def index(mode: str) -> Response:
    """The keys of the last day."""
    key, clashed = request.args.get("key", "").strip(), request.args.get("show") == "clashed"
    page = idempotency_inspection.list_page(
        actor(), key=key, clashed=clashed, cursor=request.args.get("cursor")
    )
    kept = {"key": key, "show": "clashed" if clashed else ""}
    query = urlencode({name: value for name, value in kept.items() if value})
    more = f"{request.path}?{query}&cursor={page.next_cursor}" if page.next_cursor else None
    tabs = [
        ("All", request.path, not clashed, None),
        ("Used for something else", f"{request.path}?show=clashed", clashed, None),
    ]
    return render(
        "dashboard/idempotency/index.html",
        rows=[(row, state(row)) for row in page.data],
        next_url=more,
        key=key,
        clashed=clashed,
        tabs=tabs,
    )


@blueprint.get("/<scope_hash>")
@screen(READ)
def show(mode: str, scope_hash: str) -> Response:
    """One key."""
    row = idempotency_inspection.get(actor(), scope_hash)
    names = {key.id: key.name for key in keys.list_all(actor())}
    return render(
        "dashboard/idempotency/show.html",
        row=row,
        state=state(row),
        sent_by=names.get(row.caller or "", row.caller),
        fields=sorted(row.shape or ()),
    )


def state(row: IdempotencyRecord) -> str:
    """What came of the first request."""
    if row.status is not None:
        return "done" if row.status < 400 else "failed"
    lapsed = row.lease_until is not None and row.lease_until < clock.now()
    return "unknown" if lapsed else "running"
