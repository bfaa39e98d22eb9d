"""A person's own security: password, second factor and recovery codes (shown once), what is signed in."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request, session
from flask_wtf import FlaskForm
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse
from wtforms import PasswordField
from wtforms.validators import InputRequired, Length

from app.dashboard.shell import actor, render, renew, screen, signed_in, stepped_up
from app.domain.errors import DomainError
from app.kit import qr
from app.services.access import sign_ins, totp, users

blueprint = Blueprint("security", __name__, url_prefix="/dashboard/security")


class PasswordForm(FlaskForm):  # type: ignore[misc]
    """The current password and the new one."""

    secret = PasswordField("Current password", [InputRequired("Enter your password"), Length(max=128)])
    new_secret = PasswordField("New password", [InputRequired("Enter a new password")])


@blueprint.get("")
@screen()
def show() -> Response:
    """Password, second factor, and everything that is signed in."""
    who = signed_in()
    return render(
        "dashboard/security/show.html",
        form=FlaskForm(),
        user=who.user,
        left=totp.codes_left(who.user.id),
        open_sign_ins=sign_ins.list_open(who.user.id, who.id),
    )


@blueprint.get("/password")
@screen()
def show_password() -> Response:
    """The form for another password."""
    return render("dashboard/security/password.html", form=PasswordForm(), errors=[])


@blueprint.post("/password")
@screen()
def change_password() -> AnyResponse:
    """Take another password; everything else that is signed in ends."""
    form, who = PasswordForm(), signed_in()
    if not form.validate_on_submit():
        return render("dashboard/security/password.html", 422, form=form, errors=[])
    try:
        users.change_password(who.user.id, form.secret.data, form.new_secret.data, keep=who.id)
    except DomainError as refused:
        place = "new_secret" if refused.http_status == 400 else "secret"
        errors = [{"field": place, "text": refused.message}]
        return render("dashboard/security/password.html", refused.http_status, form=form, errors=errors)
    renew()
    flash("Your password was changed, and you were signed out everywhere else.", "success")
    return redirect("/dashboard/security", 303)


@blueprint.post("/sign-ins/<sign_in_id>/end")
@screen()
def end_sign_in(sign_in_id: str) -> AnyResponse:
    """End one of one's own sign-ins."""
    who = signed_in()
    sign_ins.end(actor(), who.user.id, sign_in_id)
    if sign_in_id == who.id:
        session.clear()
        return redirect("/dashboard/sign-in", 303)
    flash("It was signed out.", "success")
    return redirect("/dashboard/security", 303)


@blueprint.post("/sign-ins/end-others")
@screen()
def end_others() -> AnyResponse:
    """End all of one's own sign-ins but this one."""
    who = signed_in()
    sign_ins.end_others(actor(), who.user.id, who.id)
    flash("You are signed in here alone.", "success")
    return redirect("/dashboard/security", 303)


@blueprint.get("/totp")
@screen()
def enrol() -> AnyResponse:
    """A fresh seed as QR code and text."""
    return _detour() or _enrolment([])


@blueprint.post("/totp")
@screen()
def enable() -> AnyResponse:
    """Put the seed in force with a first code."""
    detour = _detour()
    if detour is not None:
        return detour
    who = signed_in()
    codes = totp.enable(who.user.id, request.form.get("code", ""), keep=who.id)
    if codes is None:
        return _enrolment([{"field": "code", "text": "This code isn't right. Try the next one."}], 422)
    renew()
    return render("dashboard/security/codes.html", codes=codes)


@blueprint.get("/codes")
@screen(step_up="mfa")
def ask_codes() -> AnyResponse:
    """Ask before the old recovery codes stop working (also where a step-up leads back to)."""
    return render("dashboard/security/new_codes.html", form=FlaskForm())


@blueprint.post("/codes")
@screen(step_up="mfa")
def renew_codes() -> AnyResponse:
    """Fresh recovery codes in place of the old ones."""
    return render("dashboard/security/codes.html", codes=totp.renew_codes(signed_in().user.id))


@blueprint.get("/totp/off")
@screen(step_up="mfa")
def ask_disable() -> Response:
    """Ask before a password alone is enough again (also where a step-up leads back to)."""
    return render("dashboard/security/off.html", form=FlaskForm())


@blueprint.post("/totp/off")
@screen()
def disable() -> AnyResponse:
    """Take the second factor away."""
    detour = stepped_up("mfa")
    if detour is not None:
        return detour
    who = signed_in()
    totp.disable(who.user.id, keep=who.id)
    renew()
    flash("Two-step sign-in is off", "success")
    return redirect("/dashboard/security", 303)


def _detour() -> AnyResponse | None:
    """Where to go first: to step-up, or back where a seed is in force, which is never shown again."""
    enrolled = signed_in().user.totp_enabled
    return stepped_up("mfa") or (redirect("/dashboard/security", 303) if enrolled else None)


def _enrolment(errors: list[dict[str, str]], status: int = 200) -> Response:
    """A wrong code keeps the seed that the person has already scanned."""
    user_id = signed_in().user.id
    secret, uri = totp.pending(user_id) if errors else totp.begin(user_id)
    drawn = Markup(qr.svg(uri, title="QR code for your authenticator app"))  # noqa: S704 - our own SVG
    return render(
        "dashboard/security/enrol.html",
        status,
        secret=secret,
        drawn=drawn,
        errors=errors,
        form=FlaskForm(),
    )
