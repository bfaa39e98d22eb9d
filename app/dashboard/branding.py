"""Branding: the merchant's name, logo, colour and contact, with the hosted page beside them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.settings import READ, WRITE, tabs
from app.dashboard.shell import actor, render, screen, signed_in, status_of
from app.domain.errors import DomainError, InvalidRequest
from app.domain.rules import page_choices
from app.services.access import logos, tenants
from app.services.operations import settings
from app.web import shop_signs
from app.web.headers import policy

blueprint = Blueprint("branding", __name__, url_prefix="/dashboard/<any(test, live):mode>/settings")

#: Our own green, where no colour is chosen (static/css/tokens.css).
OWN_ACCENT = "#0b5d4b"
_CHOICES = ("brand_accent", "support_email", "terms_url")


@blueprint.get("")
@screen(READ)
def show(mode: str) -> Response:
    """The form, and the hosted page beside it."""
    return _stored(mode)


def _stored(mode: str, errors: list[dict[str, Any]] | None = None, status: int = 200) -> Response:
    """The form with what is stored."""
    row, version = settings.read(actor())
    values = {name: getattr(row, name) for name in _CHOICES}
    return _form(mode, {"name": tenants.name_of(actor().tenant_id), **values}, version, errors, status)


@blueprint.post("")
@screen(WRITE)
def change(mode: str) -> AnyResponse:
    """Change the name and the look; all of it or nothing."""
    sent, version = _sent(), request.form.get("version", type=int)
    try:
        tenants.brand(actor(), sent["name"], {name: sent[name] for name in _CHOICES}, expected=version)
    except DomainError as refused:
        text = refused.message.removeprefix(f"{refused.field}: ")
        errors = [{"field": refused.field, "text": text[:1].upper() + text[1:]}]
        return _form(mode, sent, version, errors, status_of(refused))
    flash("Your branding was saved: shoppers see it from now on.", "success")
    return redirect(f"/dashboard/{mode}/settings", 303)


@blueprint.post("/logo")
@screen(WRITE)
def put_logo(mode: str) -> AnyResponse:
    """Take a logo."""
    file = request.files.get("logo")
    try:
        if file is None or not file.filename:
            raise InvalidRequest("Choose a file", field="logo")
        logos.keep(actor(), file.read(logos.MAX_BYTES + 1))
    except DomainError as refused:
        return _stored(mode, [{"field": "logo", "text": refused.message}], status_of(refused))
    flash("Your logo was saved: shoppers see it from now on.", "success")
    return redirect(f"/dashboard/{mode}/settings", 303)


@blueprint.post("/logo/remove")
@screen(WRITE)
def remove_logo(mode: str) -> AnyResponse:
    """Go without."""
    logos.remove(actor())
    flash("Your logo was removed.", "success")
    return redirect(f"/dashboard/{mode}/settings", 303)


@blueprint.route("/preview", methods=["GET", "POST"])
@screen(READ)
def preview(mode: str) -> Response:
    """The hosted page with what is typed; it takes no payment, and only our own screens may frame it."""
    sent = _sent()
    accent = sent["brand_accent"]
    merchant = {
        "name": sent["name"][:100] or actor().tenant.name,
        **shop_signs.logo(signed_in().tenant),
        "accent": accent if page_choices.accent(accent) is None and accent else None,
        "support_email": sent["support_email"] or None,
        "terms_url": sent["terms_url"] if page_choices.terms(sent["terms_url"]) is None else None,
    }
    page = render_template("dashboard/settings/preview.html", checkout=_sample(mode, merchant))
    headers = {"Content-Security-Policy": policy(frame_ancestors="'self'", form_action="'none'")}
    return Response(page, mimetype="text/html", headers=headers)


def _sent() -> dict[str, str]:
    values = request.values
    own = values.get("own_accent") == "1" or "own_accent_known" not in values
    return {
        "name": values.get("name", "").strip(),
        "brand_accent": values.get("brand_accent", "").strip() if own else "",
        "support_email": values.get("support_email", "").strip(),
        "terms_url": values.get("terms_url", "").strip(),
    }


def _sample(mode: str, merchant: dict[str, Any]) -> SimpleNamespace:
    currency = actor().tenant.default_currency
    lines = [
        {"name": "Mug", "quantity": 2, "unit_price": 1500, "line_total": 3000},
        {"name": "Tea towel", "quantity": 1, "unit_price": 900, "line_total": 900},
    ]
    totals = SimpleNamespace(
        currency=currency,
        sub_total=3900,
        discount_total=0,
        tax_total=0,
        shipping_total=350,
        fee_total=0,
        grand_total=4250,
    )
    return SimpleNamespace(
        mode=mode, merchant=merchant, lines=lines, totals=totals, amount_due=4250, selected_shipping="post"
    )


def _form(
    mode: str,
    values: dict[str, str],
    version: int | None,
    errors: list[dict[str, Any]] | None = None,
    status: int = 200,
) -> Response:
    return render(
        "dashboard/settings/branding.html",
        status,
        tabs=tabs(mode, ""),
        values=values,
        version=version,
        own_accent=OWN_ACCENT,
        logo=shop_signs.logo(signed_in().tenant),
        errors=errors or [],
        form=FlaskForm(),
    )
