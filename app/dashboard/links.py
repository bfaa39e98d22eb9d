"""Payment links: list, create, one link with its QR code, on and off."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app import settings
from app.dashboard.shell import actor, render, screen
from app.domain import money
from app.domain.errors import DomainError
from app.domain.permissions import LINKS_MANAGE
from app.services.checkout import links
from app.services.checkout.link_terms import LinkDraft

blueprint = Blueprint("payment_links", __name__, url_prefix="/dashboard/<any(test, live):mode>/links")


@blueprint.get("")
@screen("links:read")
def index(mode: str) -> Response:
    """Links, newest first."""
    page = links.list_page(actor(), cursor=request.args.get("cursor"))
    more = f"{request.path}?cursor={page.next_cursor}" if page.next_cursor else None
    rows = [(link, links.state(link)) for link in page.data]
    return render("dashboard/links/index.html", rows=rows, next_url=more)


@blueprint.get("/new")
@screen(LINKS_MANAGE)
def new(mode: str) -> Response:
    """The form."""
    return _form([])


@blueprint.post("")
@screen(LINKS_MANAGE)
def create(mode: str) -> AnyResponse:
    """Make a link."""
    try:
        link = links.create(actor(), _draft())
    except DomainError as refused:
        return _form([{"field": refused.field or "", "text": refused.message}], 422)
    except (ValueError, InvalidOperation):
        return _form([{"field": "amount", "text": "Enter an amount like 12.50"}], 422)
    flash("Your link is ready", "success")
    return redirect(f"/dashboard/{mode}/links/{link.id}", 303)


@blueprint.get("/<link_id>")
@screen("links:read")
def show(mode: str, link_id: str) -> Response:
    """One link with its QR code."""
    link = links.get(actor(), link_id)
    url = f"{settings.current().base_url}/l/{link.slug}"
    return render("dashboard/links/show.html", link=link, state=links.state(link), url=url)


@blueprint.post("/<link_id>/active")
@screen(LINKS_MANAGE)
def switch(mode: str, link_id: str) -> AnyResponse:
    """Switch a link on or off."""
    links.set_active(actor(), link_id, request.form.get("active") == "1")
    return redirect(f"/dashboard/{mode}/links/{link_id}", 303)


def _draft() -> LinkDraft:
    form = request.form
    currency = form.get("currency", "").strip().upper()
    text = form.get("amount", "").strip().replace(",", ".")
    limit = form.get("usage_limit", "").strip()
    if not money.is_currency(currency):
        return LinkDraft(title=form.get("title", ""), currency=currency)
    return LinkDraft(
        title=form.get("title", ""),
        currency=currency,
        slug=form.get("slug", "").strip() or None,
        description=form.get("description", ""),
        amount=money.from_major(Decimal(text), currency) if text else None,
        reference=form.get("reference", "").strip() or None,
        usage_limit=int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 10 else None,
    )


def _form(errors: list[dict[str, str]], status: int = 200) -> Response:
    return render("dashboard/links/new.html", status, errors=errors, typed=request.form, form=FlaskForm())
