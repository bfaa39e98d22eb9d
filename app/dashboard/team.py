"""The team: who is in it, inviting by a one-time link, another role, signing out, disabling and enabling."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app import settings as environment
from app.dashboard.shell import actor, render, screen, signed_in, status_of
from app.dashboard.typed import complaint
from app.domain.actor import Actor
from app.domain.errors import DomainError
from app.domain.permissions import TEAM_MANAGE
from app.kit import clock
from app.models.access.user import User
from app.services.access import invitations, key_owners, roles, sign_ins, team

blueprint = Blueprint("team", __name__, url_prefix="/dashboard/<any(test, live):mode>/team")

#: The action that is confirmed before rights of people change.
STEP = "team"


@blueprint.get("")
@screen("settings:read")
def index(mode: str) -> Response:
    """Everybody; whoever sees the settings may see with whom they work."""
    people = team.list_all(actor())
    invited = invitations.open_for([person.id for person in people])
    return render(
        "dashboard/team/index.html",
        tabs=tabs(mode, ""),
        rows=[(person, state(person, invited)) for person in people],
        me=signed_in().user.id,
    )


@blueprint.get("/new")
@screen(TEAM_MANAGE, step_up=STEP)
def new(mode: str) -> AnyResponse:
    """The form of an invitation."""
    return _form([])


@blueprint.post("")
@screen(TEAM_MANAGE, step_up=STEP)
def invite(mode: str) -> AnyResponse:
    """Add somebody; the answer is the only page that shows their link."""
    form = request.form
    try:
        user, token = invitations.invite(
            actor(), form.get("email", ""), form.get("name", ""), form.get("role", "")
        )
    except DomainError as refused:
        return _form(complaint(refused, "role"), status_of(refused))
    return _link(user, token, fresh=True)


@blueprint.get("/<user_id>")
@screen(TEAM_MANAGE)
def show(mode: str, user_id: str) -> Response:
    """One of the team: their role, where they are signed in, what can be done."""
    return _person(user_id, [])


@blueprint.post("/<user_id>/role")
@screen(TEAM_MANAGE, step_up=STEP)
def change_role(mode: str, user_id: str) -> AnyResponse:
    """Give another role; what they are signed in with ends."""
    try:
        roles.assign(actor(), request.form.get("role", ""), user_id)
    except DomainError as refused:
        if refused.code == "user_not_found":
            raise
        return _person(user_id, [{"field": "role", "text": refused.message}], status_of(refused))
    return _done(mode, user_id, "The role was changed. They have to sign in again.")


@blueprint.post("/<user_id>/link")
@screen(TEAM_MANAGE, step_up=STEP)
def link(mode: str, user_id: str) -> AnyResponse:
    """Another one-time link, for a first or a lost password; it is shown on this page alone."""
    return _link(*invitations.renew(actor(), user_id), fresh=False)


@blueprint.post("/<user_id>/sign-out")
@screen(TEAM_MANAGE)
def sign_out(mode: str, user_id: str) -> AnyResponse:
    """End what they are signed in with."""
    team.sign_out(actor(), user_id)
    return _done(mode, user_id, "They were signed out everywhere.")


@blueprint.post("/<user_id>/sign-ins/<sign_in_id>/end")
@screen(TEAM_MANAGE)
def end_sign_in(mode: str, user_id: str, sign_in_id: str) -> AnyResponse:
    """End one of their sign-ins."""
    sign_ins.end(actor(), team.get(actor(), user_id).id, sign_in_id)
    return _done(mode, user_id, "It was signed out.")


@blueprint.get("/<user_id>/disable")
@screen(TEAM_MANAGE, step_up=STEP)
def ask_disable(mode: str, user_id: str) -> AnyResponse:
    """Say what it does, and ask what becomes of their keys."""
    return _ask(user_id, [])


@blueprint.post("/<user_id>/disable")
@screen(TEAM_MANAGE, step_up=STEP)
def disable(mode: str, user_id: str) -> AnyResponse:
    """Let somebody in no more."""
    chosen = request.form.get("keys", "")
    try:
        team.disable(
            actor(),
            user_id,
            keys_to=chosen if chosen not in ("", "revoke") else None,
            revoke_keys=chosen == "revoke",
        )
    except DomainError as refused:
        if refused.http_status == 404:
            raise
        return _ask(user_id, [{"field": "keys", "text": refused.message}], status_of(refused))
    if user_id == signed_in().user.id:
        return redirect("/dashboard/sign-in", 303)
    return _done(mode, user_id, "They are let in no more.")


@blueprint.post("/<user_id>/enable")
@screen(TEAM_MANAGE, step_up=STEP)
def enable(mode: str, user_id: str) -> AnyResponse:
    """Let somebody in again."""
    team.enable(actor(), user_id)
    return _done(mode, user_id, "They may sign in again.")


def tabs(mode: str, chosen: str) -> list[tuple[str, str, bool, None]]:
    """People, and their roles."""
    base = f"/dashboard/{mode}/team"
    return [("People", base, chosen == "", None), ("Roles", f"{base}/roles", chosen == "roles", None)]


def state(person: User, invited: set[str]) -> str:
    """The word of somebody's state."""
    if person.disabled_at is not None:
        return "disabled"
    if person.locked_until is not None and person.locked_until > clock.now():
        return "locked"
    return "invited" if person.id in invited and person.last_login_at is None else "active"


def grantable(who: Actor) -> list[Any]:
    """The roles that somebody may give: those that may do no more than they."""
    return [role for role in roles.list_all(who) if all(map(who.can, role.permissions))]


def _done(mode: str, user_id: str, words: str) -> AnyResponse:
    flash(words, "success")
    if user_id == signed_in().user.id:
        return redirect(f"/dashboard/{mode}/team", 303)
    return redirect(f"/dashboard/{mode}/team/{user_id}", 303)


def _link(user: User, token: str, *, fresh: bool) -> Response:
    url = f"{environment.current().base_url}/dashboard/invitation/{token}"
    days = invitations.LASTS.days
    return render("dashboard/team/link.html", 201, user=user, url=url, days=days, fresh=fresh)


def _form(errors: list[dict[str, Any]], status: int = 200) -> Response:
    return render(
        "dashboard/team/new.html",
        status,
        errors=errors,
        typed=request.form,
        roles=grantable(actor()),
        form=FlaskForm(),
    )


def _person(user_id: str, errors: list[dict[str, Any]], status: int = 200) -> Response:
    who, me = actor(), signed_in()
    person = team.get(who, user_id)
    return render(
        "dashboard/team/show.html",
        status,
        person=person,
        state=state(person, invitations.open_for([person.id])),
        role=roles.get_or_none(who, person.role),
        roles=grantable(who),
        beneath=roles.may_manage(who, person),
        open_sign_ins=sign_ins.list_open(person.id, me.id),
        keys=key_owners.of_person(who, person.id),
        me=me.user.id,
        errors=errors,
        form=FlaskForm(),
    )


def _ask(user_id: str, errors: list[dict[str, Any]], status: int = 200) -> Response:
    who = actor()
    person = team.get(who, user_id)
    heirs = [other for other in team.list_all(who) if other.id != user_id and other.disabled_at is None]
    return render(
        "dashboard/team/disable.html",
        status,
        person=person,
        keys=key_owners.of_person(who, user_id),
        heirs=heirs,
        errors=errors,
        form=FlaskForm(),
    )
