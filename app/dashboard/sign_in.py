"""Signing in and out: password, then TOTP or a recovery code for those who have it on."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from flask import Blueprint, Response, redirect, render_template, request, session
from flask_login import current_user
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from app.dashboard.shell import TOKEN
from app.domain.errors import DomainError, InvalidRequest
from app.kit import clock
from app.services.access import invitations, users, web_sessions
from app.web import agents
from app.web.authentication import client_address
from app.web.opens import To, opens

blueprint = Blueprint("sign_in", __name__, url_prefix="/dashboard")

_PENDING = "pending_user"
#: How long one may take between password and code.
PENDING_SECONDS = 300


class PasswordForm(FlaskForm):  # type: ignore[misc]
    """The first step."""

    email = StringField("E-mail", validators=[InputRequired("Enter your e-mail address"), Length(max=254)])
    password = PasswordField("Password", validators=[InputRequired("Enter your password"), Length(max=128)])


class CodeForm(FlaskForm):  # type: ignore[misc]
    """The second step."""

    code = StringField("Code", validators=[InputRequired("Enter the code"), Length(max=40)])


class NewPasswordForm(FlaskForm):  # type: ignore[misc]
    """A password of one's own."""

    new_secret = PasswordField("New password", [InputRequired("Enter a password"), Length(max=128)])


@blueprint.get("/sign-in")
@opens(To.EVERYBODY)
def show() -> AnyResponse:
    """The password page."""
    if current_user.is_authenticated:
        return redirect(_onward(), 303)
    return _page("dashboard/sign_in/password.html", PasswordForm())


@blueprint.post("/sign-in")
@opens(To.EVERYBODY)
def submit() -> AnyResponse:
    """Check the password."""
    form = PasswordForm()
    if not form.validate_on_submit():
        return _page("dashboard/sign_in/password.html", form, 422)
    try:
        step = users.check_password(form.email.data, form.password.data, client_address())
    except DomainError as refused:
        return _page("dashboard/sign_in/password.html", form, refused.http_status, refused.message)
    _leave()
    if step.needs_otp:
        session[_PENDING] = [step.user_id, clock.now().timestamp()]
        return redirect(f"/dashboard/sign-in/code?next={quote(_onward())}", 303)
    return _enter(step.user_id)


@blueprint.get("/sign-in/code")
@opens(To.EVERYBODY)
def show_code() -> AnyResponse:
    """The code page."""
    if _pending() is None:
        return redirect("/dashboard/sign-in", 303)
    return _page("dashboard/sign_in/code.html", CodeForm())


@blueprint.post("/sign-in/code")
@opens(To.EVERYBODY)
def submit_code() -> AnyResponse:
    """Check the code."""
    user_id, form = _pending(), CodeForm()
    if user_id is None:
        return redirect("/dashboard/sign-in", 303)
    if not form.validate_on_submit():
        return _page("dashboard/sign_in/code.html", form, 422)
    try:
        users.check_second_factor(user_id, form.code.data)
    except DomainError as refused:
        return _page("dashboard/sign_in/code.html", form, refused.http_status, refused.message)
    users.note_sign_in(user_id)
    _leave()
    return _enter(user_id)


@blueprint.get("/invitation/<token>")
@opens(To.ADDRESS)
def show_invitation(token: str) -> Response:
    """The form for a first password, or another one; looking at it uses nothing up."""
    return _invitation(token, NewPasswordForm())


@blueprint.post("/invitation/<token>")
@opens(To.ADDRESS)
def accept_invitation(token: str) -> AnyResponse:
    """Choose a password, and come in; a second factor that is in force is asked for first."""
    form = NewPasswordForm()
    if not form.validate_on_submit():
        return _invitation(token, form, 422)
    try:
        user = invitations.accept(token, form.new_secret.data)
    except InvalidRequest as refused:
        return _invitation(token, form, 422, refused.message)
    _leave()
    if user.totp_enabled:
        return redirect("/dashboard/sign-in", 303)
    users.note_sign_in(user.id)
    return _enter(user.id)


@blueprint.post("/sign-out")
@opens(To.EVERYBODY)
def sign_out() -> AnyResponse:
    """End the session."""
    _leave()
    return redirect("/dashboard/sign-in", 303)


def _leave() -> None:
    """End what this browser was signed in with before."""
    if current_user.is_authenticated:
        web_sessions.close(current_user.signed_in.token_hash)
    session.clear()


def _enter(user_id: str) -> AnyResponse:
    """A fresh session id at each sign-in: nobody can have fixed it before."""
    session[TOKEN] = web_sessions.open_session(user_id, **agents.caller())
    return redirect(_onward(), 303)


def _pending() -> str | None:
    kept = session.get(_PENDING)
    if not kept or clock.now().timestamp() - kept[1] > PENDING_SECONDS:
        return None
    return str(kept[0])


def _onward() -> str:
    """Where the person wanted to go, if that is a screen of ours."""
    wanted = request.args.get("next", "")
    parts = urlsplit(wanted)
    ours = not parts.scheme and not parts.netloc and wanted.startswith("/dashboard/") and "\\" not in wanted
    return wanted if ours else "/dashboard/test"


def _invitation(token: str, form: FlaskForm, status: int = 200, refused: str | None = None) -> Response:
    user = invitations.find(token)
    errors = [{"field": "new_secret", "text": refused}] if refused else []
    tenant = users.get(user.id)[1]
    page = render_template(
        "dashboard/sign_in/invitation.html", form=form, errors=errors, user=user, token=token, tenant=tenant
    )
    return Response(page, status, {"Referrer-Policy": "strict-origin"}, mimetype="text/html")


def _page(template: str, form: FlaskForm, status: int = 200, refused: str | None = None) -> Response:
    errors = [{"field": None, "text": refused}] if refused else []
    page = render_template(template, form=form, errors=errors, onward=_onward())
    return Response(page, status, mimetype="text/html")
