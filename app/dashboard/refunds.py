"""Refunds: the list."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app.dashboard.shell import actor, render, screen
from app.services.payments import refunds

blueprint = Blueprint("refunds", __name__, url_prefix="/dashboard/<any(test, live):mode>/refunds")


@blueprint.get("")
@screen("refunds:read")
def index(mode: str) -> Response:
    """Refunds, newest first."""
    page = refunds.list_page(actor(), cursor=request.args.get("cursor"))
    more = f"{request.path}?cursor={page.next_cursor}" if page.next_cursor else None
    return render("dashboard/refunds/index.html", rows=page.data, next_url=more)
