"""API keys: list, create and roll (shown once), revoke; after step-up."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import permission_words
from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import complaint
from app.domain.errors import DomainError
from app.domain.permissions import KEYS_MANAGE, SCOPES
from app.kit import clock
from app.models.access.api_key import ApiKey
from app.services.access import key_owners, keys, team

blueprint = Blueprint("keys", __name__, url_prefix="/dashboard/<any(test, live):mode>/keys")

_DAY = 86_400
#: Form value → seconds.
LIVES = {"": None, "30": 30 * _DAY, "90": 90 * _DAY, "365": 365 * _DAY}
OVERLAPS = {"0": 0, "1h": 3600, "24h": _DAY, "7d": 7 * _DAY}


@blueprint.get("")
@screen(KEYS_MANAGE)
def index(mode: str) -> Response:
    """The merchant's keys."""
    rows = keys.list_all(actor())
    rights = key_owners.rights_of(actor(), rows)
    cut = {row.id for row in rows if row.id in rights and rights[row.id] != frozenset(row.scopes)}
    return render("dashboard/keys/index.html", rows=rows, cut=cut, state=_state, names=_names())


@blueprint.get("/<key_id>")
@screen(KEYS_MANAGE)
def show(mode: str, key_id: str) -> Response:
    """One key: what it may do, who answers for it, what became of it."""
    key = keys.get(actor(), key_id)
    now = key_owners.rights_of(actor(), [key]).get(key.id, frozenset(key.scopes))
    return render(
        "dashboard/keys/show.html",
        key=key,
        state=_state(key),
        may=permission_words.words(now),
        cut=now != frozenset(key.scopes),
        others={other.id: other for other in keys.list_all(actor())},
        names=_names(),
        form=FlaskForm(),
    )


@blueprint.get("/new")
@screen(KEYS_MANAGE, step_up="api-keys")
def new(mode: str) -> AnyResponse:
    """The form."""
    return _form([])


@blueprint.post("")
@screen(KEYS_MANAGE, step_up="api-keys")
def create(mode: str) -> AnyResponse:
    """Make a key; the answer is the only page that ever shows it."""
    kind = "pk" if request.form.get("kind") == "pk" else "sk"
    lives = LIVES.get(request.form.get("lives", ""))
    scopes = _scopes() if kind == "sk" else None
    if scopes == []:
        return _form([{"field": "may", "text": "Tick at least one thing that it may do"}], 422)
    try:
        key, plaintext = keys.create(
            actor(), request.form.get("name", ""), kind=kind, scopes=scopes, expires_in_seconds=lives
        )
    except DomainError as refused:
        return _form(complaint(refused, "name"), 422)
    return render("dashboard/keys/created.html", 201, key=key, plaintext=plaintext)


@blueprint.get("/<key_id>/roll")
@screen(KEYS_MANAGE, step_up="api-keys")
def ask_roll(mode: str, key_id: str) -> AnyResponse:
    """Ask how long the old key works on."""
    return _ask(key_id, "dashboard/keys/roll.html", errors=[])


@blueprint.post("/<key_id>/roll")
@screen(KEYS_MANAGE, step_up="api-keys")
def roll(mode: str, key_id: str) -> AnyResponse:
    """Make a key in place of another; the answer is the only page that ever shows it."""
    overlap = OVERLAPS.get(request.form.get("overlap", ""), _DAY)
    try:
        key, plaintext, old = keys.roll(actor(), key_id, overlap_seconds=overlap)
    except DomainError as refused:
        errors = [{"field": "overlap", "text": refused.message}]
        return _ask(key_id, "dashboard/keys/roll.html", refused.http_status, errors=errors)
    return render("dashboard/keys/created.html", 201, key=key, plaintext=plaintext, old=old)


@blueprint.post("/<key_id>/take-over")
@screen(KEYS_MANAGE, step_up="api-keys")
def take_over(mode: str, key_id: str) -> AnyResponse:
    """Answer for a key that may do less than its scopes, since whoever made it may."""
    key = key_owners.take_over(actor(), key_id)
    flash(f"You answer for {key.name} now.", "success")
    return redirect(f"/dashboard/{mode}/keys", 303)


@blueprint.get("/<key_id>/revoke")
@screen(KEYS_MANAGE, step_up="api-keys")
def ask_revoke(mode: str, key_id: str) -> AnyResponse:
    """Ask (also where a step-up leads back to)."""
    return _ask(key_id, "dashboard/keys/revoke.html")


@blueprint.post("/<key_id>/revoke")
@screen(KEYS_MANAGE, step_up="api-keys")
def revoke(mode: str, key_id: str) -> AnyResponse:
    """Revoke a key: it is refused from the next request on."""
    key = keys.revoke(actor(), key_id)
    flash(f"{key.name} was revoked. It no longer works.", "success")
    return redirect(f"/dashboard/{mode}/keys", 303)


def _ask(
    key_id: str, template: str, status: int = 200, errors: list[dict[str, str]] | None = None
) -> AnyResponse:
    found = keys.get(actor(), key_id)
    return render(
        template,
        status,
        key=found,
        made_with=keys.made_with(actor(), found.id),
        errors=errors or [],
        form=FlaskForm(),
    )


def _state(row: ApiKey) -> str:
    """The word of a key's state."""
    if row.revoked_at is not None:
        return "revoked"
    if row.expires_at is not None and row.expires_at <= clock.now():
        return "expired"
    return "rolling" if row.replaced_by is not None else "active"


def _scopes() -> list[str]:
    """What a secret key may do: what was ticked, or all that its maker may."""
    if request.form.get("may") == "some":
        return request.form.getlist("scopes")
    return ["*"] if actor().can("*") else sorted(scope for scope in SCOPES if actor().can(scope))


def _names() -> dict[str, str]:
    """Who answers for keys."""
    return {person.id: person.name for person in team.list_all(actor())}


def _form(errors: list[dict[str, str]], status: int = 200) -> Response:
    offered = {scope for scope in SCOPES if actor().can(scope)}
    return render(
        "dashboard/keys/new.html",
        status,
        errors=errors,
        typed=request.form,
        chosen=set(request.form.getlist("scopes")),
        table=permission_words.table(offered),
        others=permission_words.others(offered),
        whole="*" in offered,
        form=FlaskForm(),
    )
