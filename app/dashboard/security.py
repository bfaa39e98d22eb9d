"""A person's own security: the second factor, its QR code and recovery codes (shown once)."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.shell import render, screen, signed_in, stepped_up
from app.kit import qr
from app.services.access import totp

blueprint = Blueprint("security", __name__, url_prefix="/dashboard/security")


@blueprint.get("")
@screen
def show() -> Response:
    """Whether the second factor is on."""
    return render("dashboard/security/show.html", form=FlaskForm(), user=signed_in().user)


@blueprint.get("/totp")
@screen
def enrol() -> AnyResponse:
    """A fresh seed as QR code and text."""
    return _detour() or _enrolment([])


@blueprint.post("/totp")
@screen
def enable() -> AnyResponse:
    """Put the seed in force with a first code."""
    detour = _detour()
    if detour is not None:
        return detour
    codes = totp.enable(signed_in().user.id, request.form.get("code", ""))
    if codes is None:
        return _enrolment([{"field": "code", "text": "This code isn't right. Try the next one."}], 422)
    return render("dashboard/security/codes.html", codes=codes)


@blueprint.post("/totp/off")
@screen
def disable() -> AnyResponse:
    """Take the second factor away."""
    detour = stepped_up("mfa")
    if detour is not None:
        return detour
    totp.disable(signed_in().user.id)
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
