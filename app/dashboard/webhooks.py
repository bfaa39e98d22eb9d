"""Webhooks: endpoints, their deliveries, each attempt, sending again."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import complaint, needed_moment
from app.domain.errors import DomainError, InvalidRequest, NotFound
from app.domain.event_types import PUBLISHED
from app.domain.permissions import WEBHOOKS_MANAGE
from app.domain.rules.delivery_hints import hint
from app.models.events.webhook_endpoint import WebhookEndpoint
from app.services.events import deliveries, replays, webhooks

blueprint = Blueprint("webhooks", __name__, url_prefix="/dashboard/<any(test, live):mode>/webhooks")

#: Tab → words, statuses of deliveries, and if their endpoint is off: nobody sends those now (ux.md).
TABS: dict[str, tuple[str, tuple[str, ...], bool | None]] = {
    "all": ("All", (), None),
    "successful": ("Successful", ("delivered",), None),
    "retrying": ("Retrying", ("pending", "leased", "retry_wait"), False),
    "failed": ("Failed", ("exhausted",), False),
    "wont": ("Won't send", ("pending", "retry_wait", "exhausted"), True),
}


@blueprint.get("")
@screen("webhooks:read")
def index(mode: str) -> Response:
    """Endpoints and the latest deliveries."""
    who = actor()
    chosen = request.args.get("show", "all")
    _, statuses, off = TABS.get(chosen, TABS["all"])
    page = deliveries.list_page(who, statuses=statuses, off=off, cursor=request.args.get("cursor"))
    tabs = [(tab[0], f"{request.path}?show={name}", name == chosen, None) for name, tab in TABS.items()]
    more = f"{request.path}?show={chosen}&cursor={page.next_cursor}" if page.next_cursor else None
    return render(
        "dashboard/webhooks/index.html",
        endpoints=webhooks.list_all(who),
        troubled=webhooks.in_trouble(who),
        rows=page.data,
        tabs=tabs,
        next_url=more,
    )


@blueprint.get("/new")
@screen(WEBHOOKS_MANAGE, step_up="webhooks")
def new(mode: str) -> AnyResponse:
    """The form."""
    return _form([])


@blueprint.post("")
@screen(WEBHOOKS_MANAGE, step_up="webhooks")
def create(mode: str) -> AnyResponse:
    """Add an endpoint; the answer is the only page that shows its secret."""
    try:
        endpoint, secret = webhooks.create(
            actor(),
            request.form.get("url", "").strip(),
            request.form.getlist("events"),
            description=request.form.get("description", ""),
        )
    except DomainError as refused:
        return _form(complaint(refused, "url"), 422)
    return render("dashboard/webhooks/created.html", 201, endpoint=endpoint, secret=secret)


@blueprint.get("/<endpoint_id>")
@screen("webhooks:read")
def show(mode: str, endpoint_id: str) -> Response:
    """One endpoint: what is wrong with it, another secret, a span of events again."""
    return _show(endpoint_id)


@blueprint.post("/<endpoint_id>/roll")
@screen(WEBHOOKS_MANAGE, step_up="webhooks")
def roll(mode: str, endpoint_id: str) -> AnyResponse:
    """Give it another secret; the answer is the only page that shows it."""
    endpoint, secret = webhooks.roll_secret(actor(), endpoint_id)
    return render("dashboard/webhooks/created.html", endpoint=endpoint, secret=secret, rolled=True)


@blueprint.post("/<endpoint_id>/replay")
@screen(WEBHOOKS_MANAGE)
def replay(mode: str, endpoint_id: str) -> AnyResponse:
    """Count the events of a span of time, or send them again."""
    try:
        span = _span(endpoint_id)
        if request.form.get("do") != "send":
            return _show(endpoint_id, counted=replays.dry_run(actor(), span))
        made = replays.of_span(actor(), span)
    except NotFound:
        raise
    except DomainError as refused:
        return _show(endpoint_id, complaint(refused, "since"), status=422)
    flash(f"Events that are being sent again: {made.count}", "success")
    if made.next_cursor is not None:
        flash("There are more: count and send once more", "warning")
    return redirect(f"/dashboard/{mode}/webhooks/{endpoint_id}", 303)


@blueprint.get("/deliveries/<delivery_id>")
@screen("webhooks:read")
def delivery(mode: str, delivery_id: str) -> Response:
    """One delivery with what each attempt brought."""
    row, tries = deliveries.get(actor(), delivery_id)
    endpoint = webhooks.get(actor(), row.endpoint_id, deleted=True)
    curl = deliveries.as_curl(actor(), delivery_id) if actor().can(WEBHOOKS_MANAGE) else None
    return render(
        "dashboard/webhooks/delivery.html", row=row, tries=tries, endpoint=endpoint, hint=hint, curl=curl
    )


@blueprint.post("/deliveries/<delivery_id>/resend")
@screen(WEBHOOKS_MANAGE)
def resend(mode: str, delivery_id: str) -> AnyResponse:
    """Send an event again, as a new delivery."""
    made = replays.one(actor(), delivery_id)
    flash("The event is being sent again", "success")
    return redirect(f"/dashboard/{mode}/webhooks/deliveries/{made.id}", 303)


@blueprint.get("/<endpoint_id>/edit")
@screen(WEBHOOKS_MANAGE, step_up="webhooks")
def edit(mode: str, endpoint_id: str) -> Response:
    """The form with what the endpoint has."""
    endpoint = webhooks.get(actor(), endpoint_id)
    typed = MultiDict([("url", endpoint.url), ("description", endpoint.description)])
    typed.setlist("events", endpoint.events)
    return _form([], endpoint=endpoint, typed=typed)


@blueprint.post("/<endpoint_id>/edit")
@screen(WEBHOOKS_MANAGE, step_up="webhooks")
def change(mode: str, endpoint_id: str) -> AnyResponse:
    """Change where it is and what it hears of; its secret stays."""
    form, endpoint = request.form, webhooks.get(actor(), endpoint_id)
    try:
        webhooks.update(
            actor(),
            endpoint_id,
            url=form.get("url", "").strip(),
            events=form.getlist("events"),
            description=form.get("description", "").strip()[:200],
        )
    except DomainError as refused:
        return _form(complaint(refused, "url"), 422, endpoint=endpoint)
    flash("The endpoint was changed", "success")
    return redirect(f"/dashboard/{mode}/webhooks/{endpoint_id}", 303)


@blueprint.get("/<endpoint_id>/delete")
@screen(WEBHOOKS_MANAGE, step_up="webhooks")
def ask_delete(mode: str, endpoint_id: str) -> Response:
    """Ask (also where a step-up leads back to)."""
    endpoint = webhooks.get(actor(), endpoint_id)
    return render("dashboard/webhooks/delete.html", endpoint=endpoint, form=FlaskForm())


@blueprint.post("/<endpoint_id>/delete")
@screen(WEBHOOKS_MANAGE, step_up="webhooks")
def delete(mode: str, endpoint_id: str) -> AnyResponse:
    """Take an endpoint away."""
    webhooks.delete(actor(), endpoint_id)
    flash("The endpoint was removed", "success")
    return redirect(f"/dashboard/{mode}/webhooks", 303)


@blueprint.post("/<endpoint_id>/enabled")
@screen(WEBHOOKS_MANAGE)
def switch(mode: str, endpoint_id: str) -> AnyResponse:
    """Switch an endpoint on or off."""
    webhooks.set_enabled(actor(), endpoint_id, request.form.get("enabled") == "1")
    return redirect(f"/dashboard/{mode}/webhooks", 303)


def _show(
    endpoint_id: str,
    errors: list[dict[str, str]] | None = None,
    counted: replays.Replayed | None = None,
    status: int = 200,
) -> Response:
    who = actor()
    return render(
        "dashboard/webhooks/show.html",
        status,
        endpoint=webhooks.get(who, endpoint_id),
        latest=deliveries.list_page(who, endpoint_id=endpoint_id, limit=10).data,
        counted=counted,
        errors=errors or [],
        typed=request.form,
    )


def _span(endpoint_id: str) -> replays.Span:
    """What the form asks for.

    Raises:
        InvalidRequest: a moment is none, or nobody knows which events are meant.
    """
    which = request.form.get("which", "")
    if which not in (replays.Which.FAILED, replays.Which.MISSING):
        raise InvalidRequest("Choose which events", field="which")
    return replays.Span(endpoint_id, needed_moment("since"), needed_moment("until"), replays.Which(which))


def _form(
    errors: list[dict[str, str]],
    status: int = 200,
    *,
    endpoint: WebhookEndpoint | None = None,
    typed: MultiDict[str, str] | None = None,
) -> Response:
    names = sorted(str(name) for name in PUBLISHED)
    return render(
        "dashboard/webhooks/new.html",
        status,
        errors=errors,
        typed=request.form if typed is None else typed,
        endpoint=endpoint,
        names=names,
        form=FlaskForm(),
    )
