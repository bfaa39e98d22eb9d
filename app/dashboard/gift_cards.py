"""Gift cards: issue (the code is shown once), look one up, its balance, block it and take it again."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import histories
from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import complaint, currency, needed_amount, next_url, whole, words
from app.domain.errors import DomainError, InvalidRequest
from app.services.checkout import gift_cards
from app.services.events import timeline

blueprint = Blueprint(
    "gift_cards", __name__, url_prefix="/dashboard/<any(test, live):mode>/catalogue/gift-cards"
)
#: The longest time that a card may be good for, in days.
MAX_DAYS = 3650


@blueprint.get("")
@screen("catalogue:read")
def index(mode: str) -> Response:
    """Cards, newest first."""
    return _list()


@blueprint.post("/find")
@screen("catalogue:read")
def find(mode: str) -> AnyResponse:
    """The card with a code; by a form, since addresses are logged and a code is money."""
    try:
        card = gift_cards.by_code(actor(), words("code", 100))
    except DomainError as refused:
        return _list([{"field": "code", "text": refused.message}], 422)
    return redirect(f"/dashboard/{mode}/catalogue/gift-cards/{card.id}", 303)


@blueprint.get("/new")
@screen("catalogue:write", step_up="gift-cards")
def new(mode: str) -> Response:
    """The form."""
    return _form()


@blueprint.post("")
@screen("catalogue:write", step_up="gift-cards")
def issue(mode: str) -> AnyResponse:
    """Issue a card and show its code this once."""
    try:
        code, days = currency(), whole("days")
        if days is not None and not 1 <= days <= MAX_DAYS:
            raise InvalidRequest(f"Choose 1 to {MAX_DAYS} days", field="days")
        amount = needed_amount("amount", code)
        card = gift_cards.issue(actor(), amount, code, code=words("code", 100) or None, days=days)
    except DomainError as refused:
        return _form(complaint(refused), 422)
    return render("dashboard/gift_cards/issued.html", 201, card=card)


@blueprint.get("/<card_id>")
@screen("catalogue:read")
def show(mode: str, card_id: str) -> Response:
    """One card."""
    who = actor()
    card = gift_cards.get(who, card_id)
    return render(
        "dashboard/gift_cards/show.html",
        card=card,
        label=gift_cards.label(card.code),
        state=gift_cards.state(card),
        entries=histories.lines(timeline.of_entity(who, card_id)),
    )


@blueprint.post("/<card_id>/blocked")
@screen("catalogue:write")
def block(mode: str, card_id: str) -> AnyResponse:
    """Block a card, or take it again."""
    blocked = request.form.get("blocked") == "1"
    gift_cards.set_blocked(actor(), card_id, blocked)
    flash("The card is blocked" if blocked else "The card is taken again", "success")
    return redirect(f"/dashboard/{mode}/catalogue/gift-cards/{card_id}", 303)


def _list(errors: list[dict[str, str]] | None = None, status: int = 200) -> Response:
    page = gift_cards.list_page(actor(), cursor=request.args.get("cursor"))
    rows = [(row, gift_cards.label(row.code), gift_cards.state(row)) for row in page.data]
    return render(
        "dashboard/gift_cards/index.html",
        status,
        rows=rows,
        next_url=next_url(page),
        errors=errors or [],
        form=FlaskForm(),
    )


def _form(errors: list[dict[str, str]] | None = None, status: int = 200) -> Response:
    return render(
        "dashboard/gift_cards/new.html", status, errors=errors or [], typed=request.form, form=FlaskForm()
    )
