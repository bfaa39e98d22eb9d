"""Settings: checkout, payments, limits, methods by country, accounting, security (PY-080, CK-067, CK-070)."""

from __future__ import annotations

from typing import Any

from babel import Locale
from flask import Blueprint, Response, abort, flash, redirect, request
from flask_babel import get_locale
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import settings_fields as fields
from app.dashboard.settings_fields import SECTIONS, Section
from app.dashboard.shell import actor, render, screen, status_of, stepped_up
from app.domain import countries
from app.domain.errors import DomainError
from app.services.operations import settings

blueprint = Blueprint("settings", __name__, url_prefix="/dashboard/<any(test, live):mode>/settings")

READ, WRITE = "settings:read", "settings:write"
#: The screens of settings in their order; the first is branding's own.
TABS: tuple[tuple[str, Any], ...] = (
    ("", _("Branding")),
    *((name, SECTIONS[name].title) for name in ("checkout", "payments", "limits")),
    ("countries", _("Methods by country")),
    ("security", SECTIONS["security"].title),
    ("accounting", SECTIONS["accounting"].title),
)


def tabs(mode: str, chosen: str) -> list[tuple[Any, str, bool, None]]:
    """The row of tabs above each screen of settings."""
    base = f"/dashboard/{mode}/settings"
    return [(words, f"{base}/{name}".rstrip("/"), name == chosen, None) for name, words in TABS]


@blueprint.get("/<name>")
@screen(READ)
def show(mode: str, name: str) -> Response:
    """A section's form."""
    section = _section(name)
    row, version = settings.read(actor())
    values = fields.shown(section, row, actor().tenant.default_currency)
    return _form(mode, name, section, values, version)


@blueprint.post("/<name>")
@screen(WRITE)
def change(mode: str, name: str) -> AnyResponse:
    """Change a section, unless somebody else did since the form was shown."""
    section, who = _section(name), actor()
    detour = stepped_up("mfa") if name == "security" else None
    if detour is not None:
        return detour
    sent = fields.typed(section, request.form)
    version = request.form.get("version", type=int)
    try:
        changes = fields.read(section, sent, who.tenant.default_currency)
        settings.change(who, changes, expected=version)
    except DomainError as refused:
        errors = [{"field": refused.field, "text": _without_name(refused)}]
        return _form(mode, name, section, sent, version, errors, status_of(refused))
    flash("Your settings were saved.", "success")
    return redirect(f"/dashboard/{mode}/settings/{name}", 303)


@blueprint.get("/countries")
@screen(READ)
def show_countries(mode: str) -> Response:
    """Which ways to pay beside cards are offered where."""
    row, version = settings.read(actor())
    return _countries(mode, dict(row.allowed_apms), version)


@blueprint.post("/countries")
@screen(WRITE)
def change_countries(mode: str) -> AnyResponse:
    """Change a country's methods, add one, or take one away."""
    form, who = request.form, actor()
    wanted = {code: form.getlist(f"methods-{code}") for code in form.getlist("country")}
    fresh, gone = form.get("new_country", ""), form.get("remove", "")
    if fresh and not gone:
        wanted[fresh] = form.getlist("methods-new")
    wanted.pop(gone, None)
    version = form.get("version", type=int)
    try:
        settings.change(who, {"allowed_apms": wanted}, expected=version)
    except DomainError as refused:
        errors = [{"field": "new_country", "text": _without_name(refused)}]
        known = {code: listed for code, listed in wanted.items() if countries.is_country(code)}
        return _countries(mode, known, version, errors, status_of(refused))
    flash("Your settings were saved.", "success")
    return redirect(f"/dashboard/{mode}/settings/countries", 303)


def _section(name: str) -> Section:
    found = SECTIONS.get(name)
    if found is None:
        abort(404)
    return found


def _form(
    mode: str,
    name: str,
    section: Section,
    values: dict[str, Any],
    version: int | None,
    errors: list[dict[str, Any]] | None = None,
    status: int = 200,
) -> Response:
    return render(
        "dashboard/settings/show.html",
        status,
        tabs=tabs(mode, name),
        name=name,
        section=section,
        values=values,
        version=version,
        methods=settings.method_types(),
        default_currency=actor().tenant.default_currency,
        errors=errors or [],
        form=FlaskForm(),
    )


def _countries(
    mode: str,
    chosen: dict[str, list[str]],
    version: int | None,
    errors: list[dict[str, Any]] | None = None,
    status: int = 200,
) -> Response:
    names = country_names()
    free = sorted((words, code) for code, words in names.items() if code not in chosen)
    return render(
        "dashboard/settings/countries.html",
        status,
        tabs=tabs(mode, "countries"),
        rows=sorted((names.get(code, code), code, set(listed)) for code, listed in chosen.items()),
        options=[("", ""), *((code, words) for words, code in free)],
        methods=[method for method in settings.method_types() if method != "card"],
        version=version,
        errors=errors or [],
        form=FlaskForm(),
    )


def country_names() -> dict[str, str]:
    """The countries in the reader's language, by their codes."""
    locale = get_locale() or Locale("en")
    return {code: name for code, name in locale.territories.items() if countries.is_country(code)}


def _without_name(refused: DomainError) -> str:
    """What is wrong, without the setting's name, which stands beside it."""
    text = refused.message.removeprefix(f"{refused.field}: ")
    unit = (
        " seconds" if text.startswith("must be from") and (refused.field or "").endswith("_seconds") else ""
    )
    return text[:1].upper() + text[1:] + unit
