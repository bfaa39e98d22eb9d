"""API keys: list, create (shown once), revoke; after step-up."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.shell import actor, needs, render, screen, stepped_up
from app.domain.errors import DomainError
from app.domain.permissions import KEYS_MANAGE
from app.services.access import keys

blueprint = Blueprint("keys", __name__, url_prefix="/dashboard/<any(test, live):mode>/keys")


@blueprint.get("")
@screen
def index(mode: str) -> Response:
    """The merchant's keys."""
    needs(KEYS_MANAGE)
    return render("dashboard/keys/index.html", rows=keys.list_all(actor()))


@blueprint.get("/new")
@screen
def new(mode: str) -> AnyResponse:
    """The form."""
    needs(KEYS_MANAGE)
    return stepped_up("api-keys") or _form([])


@blueprint.post("")
@screen
def create(mode: str) -> AnyResponse:
    """Make a key; the answer is the only page that ever shows it."""
    needs(KEYS_MANAGE)
    detour = stepped_up("api-keys")
    if detour is not None:
        return detour
    kind = "pk" if request.form.get("kind") == "pk" else "sk"
    try:
        key, plaintext = keys.create(actor(), request.form.get("name", ""), kind=kind)
    except DomainError as refused:
        return _form([{"field": refused.field or "name", "text": refused.message}], 422)
    return render("dashboard/keys/created.html", 201, key=key, plaintext=plaintext)


@blueprint.get("/<key_id>/revoke")
@screen
def ask_revoke(mode: str, key_id: str) -> AnyResponse:
    """Ask (also where a step-up leads back to)."""
    needs(KEYS_MANAGE)
    found = next((key for key in keys.list_all(actor()) if key.id == key_id), None)
    if found is None:
        return redirect(f"/dashboard/{mode}/keys", 303)
    return stepped_up("api-keys") or render("dashboard/keys/revoke.html", key=found, form=FlaskForm())


@blueprint.post("/<key_id>/revoke")
@screen
def revoke(mode: str, key_id: str) -> AnyResponse:
    """Revoke a key: it is refused from the next request on."""
    needs(KEYS_MANAGE)
    detour = stepped_up("api-keys")
    if detour is not None:
        return detour
    key = keys.revoke(actor(), key_id)
    flash(f"{key.name} was revoked. It no longer works.", "success")
    return redirect(f"/dashboard/{mode}/keys", 303)


def _form(errors: list[dict[str, str]], status: int = 200) -> Response:
    return render("dashboard/keys/new.html", status, errors=errors, typed=request.form, form=FlaskForm())
