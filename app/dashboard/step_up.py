"""Step-up: before money moves and what guards it changes, a person confirms that it is them."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from app.dashboard.shell import render, renew, screen, signed_in
from app.domain.errors import DomainError
from app.services.access import users, web_sessions

blueprint = Blueprint("step_up", __name__, url_prefix="/dashboard")

#: Action → why it is asked.
ACTIONS = {
    "refund": "Money is about to leave your account.",
    "gift-cards": "A gift card is as good as money.",
    "store-credit": "Store credit is as good as money.",
    "disputes": "A disputed amount is taken from your balance.",
    "decisions": "A rejection cancels somebody's purchase.",
    "write-offs": "This changes your books for good.",
    "fraud-rules": "This decides whose payments go through.",
    "api-keys": "API keys can move money.",
    "webhooks": "Webhooks tell other systems about your payments.",
    "team": "This changes who may do what.",
    "connectors": "Connectors decide where your customers' money goes.",
    "payouts": "Money is about to leave your balance.",
    "mfa": "This changes how you sign in.",
}


class ConfirmForm(FlaskForm):  # type: ignore[misc]
    """A code for those who have TOTP on, else the password."""

    secret = StringField("", validators=[InputRequired("Fill this in"), Length(max=128)])


@blueprint.get("/confirm")
@screen()
def show() -> Response:
    """Ask."""
    return _page(ConfirmForm())


@blueprint.post("/confirm")
@screen()
def submit() -> AnyResponse:
    """Check, and go back to what was wanted."""
    form, who = ConfirmForm(), signed_in()
    action = request.args.get("action", "")
    if not form.validate_on_submit() or action not in ACTIONS:
        return _page(form, 422)
    try:
        if who.user.totp_enabled:
            users.check_second_factor(who.user.id, form.secret.data)
        else:
            users.check_own_password(who.user.id, form.secret.data)
    except DomainError as refused:
        return _page(form, refused.http_status, refused.message)
    web_sessions.confirm(who.token_hash, action)
    renew()
    return redirect(_back(), 303)


def _back() -> str:
    wanted = request.args.get("next", "")
    return wanted if wanted.startswith("/dashboard/") and "\\" not in wanted else "/dashboard/test"


def _page(form: ConfirmForm, status: int = 200, refused: str | None = None) -> Response:
    errors = [{"field": "secret", "text": refused}] if refused else []
    return render(
        "dashboard/step_up/show.html",
        status,
        form=form,
        errors=errors,
        back=_back(),
        why=ACTIONS.get(request.args.get("action", ""), ""),
        by_code=signed_in().user.totp_enabled,
    )
