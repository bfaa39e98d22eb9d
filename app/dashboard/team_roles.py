"""Roles: the built-in ones, and a merchant's own made of permissions in words."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import permission_words
from app.dashboard.shell import actor, render, screen, status_of, stepped_up
from app.dashboard.team import STEP, tabs
from app.domain.errors import DomainError
from app.domain.permissions import PERMISSIONS, TEAM_MANAGE
from app.services.access import roles

blueprint = Blueprint("team_roles", __name__, url_prefix="/dashboard/<any(test, live):mode>/team/roles")


@blueprint.get("")
@screen(TEAM_MANAGE)
def index(mode: str) -> Response:
    """All roles, and what they may do."""
    rows = [(role, permission_words.words(role.permissions)) for role in roles.list_all(actor())]
    return render("dashboard/team/roles.html", tabs=tabs(mode, "roles"), rows=rows)


@blueprint.get("/new")
@screen(TEAM_MANAGE, step_up=STEP)
def new(mode: str) -> AnyResponse:
    """The form of a role."""
    return _form(None, [], [])


@blueprint.post("")
@screen(TEAM_MANAGE, step_up=STEP)
def create(mode: str) -> AnyResponse:
    """Make a role."""
    name, chosen = request.form.get("name", "").strip(), request.form.getlist("permissions")
    try:
        roles.create(actor(), name, chosen, request.form.get("description", "").strip()[:200])
    except DomainError as refused:
        return _form(None, chosen, [_error(refused)], status_of(refused))
    return _done(mode, "The role was made: give it to people on their page.")


@blueprint.get("/<name>")
@screen(TEAM_MANAGE)
def show(mode: str, name: str) -> AnyResponse:
    """A role's permissions, to be changed where the role is the merchant's own."""
    role = roles.get(actor(), name)
    return (None if role.built_in else stepped_up(STEP)) or _form(name, role.permissions, [])


@blueprint.post("/<name>")
@screen(TEAM_MANAGE, step_up=STEP)
def change(mode: str, name: str) -> AnyResponse:
    """Change what a role may do."""
    chosen = request.form.getlist("permissions")
    try:
        roles.change(actor(), name, chosen, request.form.get("description", "").strip()[:200])
    except DomainError as refused:
        if refused.http_status == 404:
            raise
        return _form(name, chosen, [_error(refused)], status_of(refused))
    return _done(mode, "The role was changed, for everybody who has it.")


@blueprint.get("/<name>/remove")
@screen(TEAM_MANAGE, step_up=STEP)
def ask_remove(mode: str, name: str) -> AnyResponse:
    """Ask."""
    return _ask(name, [])


@blueprint.post("/<name>/remove")
@screen(TEAM_MANAGE, step_up=STEP)
def remove(mode: str, name: str) -> AnyResponse:
    """Take a role away."""
    try:
        roles.remove(actor(), name)
    except DomainError as refused:
        if refused.http_status == 404:
            raise
        return _ask(name, [{"field": None, "text": refused.message}], status_of(refused))
    return _done(mode, "The role was removed.")


def _done(mode: str, words: str) -> AnyResponse:
    flash(words, "success")
    return redirect(f"/dashboard/{mode}/team/roles", 303)


def _error(refused: DomainError) -> dict[str, Any]:
    return {"field": refused.field or "permissions", "text": refused.message}


def _ask(name: str, errors: list[dict[str, Any]], status: int = 200) -> Response:
    role = roles.get(actor(), name)
    return render("dashboard/team/remove_role.html", status, role=role, errors=errors, form=FlaskForm())


def _form(name: str | None, chosen: Any, errors: list[dict[str, Any]], status: int = 200) -> Response:
    """The form; only what its reader holds is offered, and what the role has already."""
    who = actor()
    role = roles.get(who, name) if name is not None else None
    offered = {word for word in PERMISSIONS if who.can(word)} | set(role.permissions if role else ())
    return render(
        "dashboard/team/role.html",
        status,
        role=role,
        chosen=set(chosen),
        table=permission_words.table(offered),
        others=permission_words.others(offered),
        everything="*" in offered,
        typed=request.form,
        errors=errors,
        form=FlaskForm(),
    )
