"""Payment links: list, make, change, one link with its QR code and poster, on and off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from app import settings
from app.dashboard import histories, link_pages
from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import (
    amount,
    amount_of,
    complaint,
    currency,
    moment,
    needed_amount,
    next_url,
    shown_moment,
    whole,
    words,
)
from app.domain import money
from app.domain.errors import DomainError, InvalidRequest
from app.domain.permissions import LINKS_MANAGE
from app.models.checkout.payment_link import PaymentLink
from app.services.checkout import link_page, links, related
from app.services.checkout.link_terms import LinkDraft
from app.services.events import timeline
from app.services.operations.settings import checkout_settings

blueprint = Blueprint("payment_links", __name__, url_prefix="/dashboard/<any(test, live):mode>/links")


@blueprint.get("")
@screen("links:read")
def index(mode: str) -> Response:
    """Links, newest first."""
    page = links.list_page(actor(), cursor=request.args.get("cursor"))
    rows = [(link, links.state(link)) for link in page.data]
    return render("dashboard/links/index.html", rows=rows, next_url=next_url(page))


@blueprint.get("/new")
@screen(LINKS_MANAGE)
def new(mode: str) -> Response:
    """The form."""
    return _form(MultiDict())


@blueprint.post("")
@screen(LINKS_MANAGE)
def create(mode: str) -> AnyResponse:
    """Make a link."""
    try:
        code = currency()
        draft = LinkDraft(currency=code, slug=words("slug", 100) or None, **_terms(code))
        link = links.create(actor(), draft)
    except DomainError as refused:
        return _form(request.form, _complaint(refused), 422)
    flash("Your link is ready", "success")
    return redirect(f"/dashboard/{mode}/links/{link.id}", 303)


@blueprint.get("/<link_id>")
@screen("links:read")
def show(mode: str, link_id: str) -> Response:
    """One link with its QR code."""
    who = actor()
    link = links.get(who, link_id)
    return render(
        "dashboard/links/show.html",
        link=link,
        state=links.state(link),
        url=f"{settings.current().base_url}/l/{link.slug}",
        page=link_page.of(link.page),
        campaign=_campaign(link),
        campaign_names=link_page.CAMPAIGN[:3],
        reasons=link_pages.REASON_WORDS,
        payments=related.of_link(who, link.id) if who.can("intents:read") else [],
        entries=histories.lines(timeline.of_entity(who, link.id)),
    )


def _campaign(link: PaymentLink) -> str | None:
    """The link's address for a campaign that the screen's address names; None where it names none."""
    named = {name: text for name in link_page.CAMPAIGN if (text := request.args.get(name, "").strip()[:100])}
    return f"{settings.current().base_url}/l/{link.slug}?{urlencode(named)}" if named else None


@blueprint.get("/<link_id>/edit")
@screen(LINKS_MANAGE)
def edit(mode: str, link_id: str) -> Response:
    """The form of a link that is out."""
    link = links.get(actor(), link_id)
    return _form(_held(link), link=link)


@blueprint.post("/<link_id>")
@screen(LINKS_MANAGE)
def update(mode: str, link_id: str) -> AnyResponse:
    """Change its terms; its address and currency stay."""
    link = links.get(actor(), link_id)
    try:
        links.update(actor(), link_id, _terms(link.currency), version=whole("version"))
    except DomainError as refused:
        return _form(request.form, _complaint(refused), 422, link=link)
    flash("Saved; who has begun to pay keeps what they were shown", "success")
    return redirect(f"/dashboard/{mode}/links/{link.id}", 303)


@blueprint.post("/<link_id>/active")
@screen(LINKS_MANAGE)
def switch(mode: str, link_id: str) -> AnyResponse:
    """Switch a link on or off."""
    links.set_active(actor(), link_id, request.form.get("active") == "1")
    return redirect(f"/dashboard/{mode}/links/{link_id}", 303)


def _terms(code: str) -> dict[str, Any]:
    """What was typed, as `link_terms.CHANGEABLE` names it; the currency says what an amount is."""
    fixed = _how(request.form) == "fixed"
    return {
        "title": words("title", 120),
        "description": words("description", 2000),
        "amount": needed_amount("amount", code) if fixed else None,
        "min_amount": None if fixed else amount("min_amount", code),
        "max_amount": None if fixed else amount("max_amount", code),
        "presets": () if fixed else _presets(code),
        "reference": words("reference", 100) or None,
        "expires_at": moment("expires_at"),
        "usage_limit": whole("usage_limit"),
        "method_types": _methods(),
        **link_pages.changes(),
    }


def _how(values: Mapping[str, str]) -> str:
    """Who names the amount; without the question an amount that was typed is the link's own."""
    said = values.get("how") or ("fixed" if values.get("amount", "").strip() else "open")
    return "fixed" if said == "fixed" else "open"


def _presets(code: str) -> tuple[int, ...]:
    """Amounts that stand apart by spaces or semicolons; a comma may be a decimal one."""
    parts = words("presets", 400).replace(";", " ").split()
    return tuple(amount_of(part.strip(","), code, "presets") for part in parts if part.strip(","))


def _methods() -> tuple[str, ...]:
    """The chosen ones; the form that asks for none takes cards."""
    if "methods_asked" not in request.form:
        return ("card",)
    chosen = tuple(request.form.getlist("method_types"))
    if not chosen:
        raise InvalidRequest("Choose at least one", field="method_types")
    return chosen


def _held(link: PaymentLink) -> MultiDict[str, str]:
    """A link as its form shows it."""

    def typed(minor: int | None) -> str:
        return "" if minor is None else f"{money.to_major(minor, link.currency):f}"

    held = MultiDict(
        {
            "title": link.title,
            "description": link.description,
            "how": "fixed" if link.amount is not None else "open",
            "amount": typed(link.amount),
            "min_amount": typed(link.min_amount),
            "max_amount": typed(link.max_amount),
            "presets": " ".join(typed(preset) for preset in link.presets or ()),
            "reference": link.reference or "",
            "expires_at": shown_moment(link.expires_at),
            "usage_limit": "" if link.usage_limit is None else str(link.usage_limit),
            "version": str(link.version),
        }
    )
    held.setlist("method_types", list(link.method_types))
    held.update(link_pages.typed(link.page))
    return held


def _complaint(refused: DomainError) -> list[dict[str, str]]:
    named = {"slug_taken": "slug", "version_conflict": ""}
    found = complaint(refused)
    found[0]["field"] = link_pages.FIELDS.get(found[0]["field"], found[0]["field"])
    if refused.code in named:
        found[0]["field"] = named[refused.code]
    if refused.code == "version_conflict":
        found[0]["text"] = "Somebody has changed this link meanwhile: open it again, and see what it says now"
    return found


def _form(
    values: MultiDict[str, str],
    errors: list[dict[str, str]] | None = None,
    status: int = 200,
    *,
    link: PaymentLink | None = None,
) -> Response:
    allowed = checkout_settings(actor().tenant).allowed_methods
    asked = "methods_asked" in values or "method_types" in values
    return render(
        "dashboard/links/form.html",
        status,
        errors=errors or [],
        values=values,
        how=_how(values) if values else "fixed",
        methods=allowed,
        chosen=values.getlist("method_types") if asked else ["card"] if not link else list(allowed),
        link=link,
        form=FlaskForm(),
        **link_pages.choices(values),
    )
