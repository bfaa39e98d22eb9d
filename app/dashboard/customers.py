"""Customers: everybody who paid, what each bought and keeps, and credit that is given or taken by hand."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import histories
from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import Errors, complaint, currency, next_url, some, words
from app.domain import money
from app.domain.errors import DomainError, NotFound
from app.domain.permissions import REFUNDS_CREATE
from app.services.checkout import customers, stored_value, subscriptions
from app.services.checkout.customers import Bought, Customer
from app.services.events import timeline
from app.services.payments import methods, saved_methods, store_credit

blueprint = Blueprint("customers", __name__, url_prefix="/dashboard/<any(test, live):mode>/customers")

#: What is confirmed before credit is given.
STEP = "store-credit"


def address(mode: str, customer: Customer) -> str:
    """Where a customer's page is: by their id, else by their e-mail."""
    here = f"/dashboard/{mode}/customers"
    if customer.id:
        return f"{here}/{quote(customer.id, safe='')}"
    return f"{here}/by-email?{urlencode({'email': customer.email or ''})}"


@blueprint.get("")
@screen("methods:read")
def index(mode: str) -> AnyResponse:
    """Who paid last comes first; a search that fits one customer leads there at once."""
    wanted = request.args.get("q", "").strip()[:200]
    if wanted:
        rows, more = customers.find(actor(), wanted), None
        if len(rows) == 1:
            return redirect(address(mode, rows[0]), 303)
    else:
        page = customers.list_page(actor(), cursor=request.args.get("cursor"))
        rows, more = page.data, next_url(page)
    return render("dashboard/customers/index.html", rows=rows, query=wanted, next_url=more)


@blueprint.get("/by-email")
@screen("methods:read")
def by_email(mode: str) -> AnyResponse:
    """Somebody of whom the merchant has no id: what was bought under an address."""
    email = request.args.get("email", "").strip()[:320]
    if not email:
        return redirect(f"/dashboard/{mode}/customers", 303)
    bought = customers.of_email(actor(), email)
    person = bought.person
    return _page(bought, Customer(None, person.email or email, person.name))


@blueprint.get("/<path:customer_id>")
@screen("methods:read")
def show(mode: str, customer_id: str) -> Response:
    """One customer: payments, orders, saved methods, subscriptions, store credit."""
    who = actor()
    _must_be_known(customer_id)
    bought = customers.of_id(who, customer_id)
    page = saved_methods.list_page(who, customer_id, cursor=request.args.get("cursor"))
    known = {
        "kept": page.data,
        "subscriptions": subscriptions.list_page(who, customer_id=customer_id, limit=100).data,
        "credits": stored_value.credits_of(who, customer_id),
        "entries": histories.lines(timeline.of_entity(who, customer_id)),
    }
    person = Customer(customer_id, bought.person.email, bought.person.name)
    return _page(bought, person, next_url=next_url(page), **known)


@blueprint.post("/methods/<payment_method_id>/remove")
@screen("methods:write")
def remove(mode: str, payment_method_id: str) -> AnyResponse:
    """Take a saved method away for good."""
    who = actor()
    method = methods.get(who, payment_method_id)
    saved_methods.revoke(who, method.id)
    flash("It can't be charged any more", "success")
    owner = method.customer_id or ""
    there = address(mode, Customer(owner, None, None)) if customers.is_known(who, owner) else None
    return redirect(there or f"/dashboard/{mode}/customers", 303)


@blueprint.get("/credit/<path:customer_id>")
@screen(REFUNDS_CREATE, step_up=STEP)
def ask_credit(mode: str, customer_id: str) -> Response:
    """The form that gives credit, or takes some back."""
    return _credit(customer_id)


@blueprint.post("/credit/<path:customer_id>")
@screen(REFUNDS_CREATE, step_up=STEP)
def credit(mode: str, customer_id: str) -> AnyResponse:
    """Do it; the same page sent twice does it once."""
    who = actor()
    _must_be_known(customer_id)
    try:
        code = currency()
        amount = some("amount", code)
        signed = -amount if request.form.get("way") == "take" else amount
        why = words("reason", 500)
        store_credit.change(who, customer_id, signed, code, why, change_id=request.form.get("change", ""))
    except DomainError as refused:
        return _credit(customer_id, complaint(refused), 422)
    said = "was taken back" if signed < 0 else "was given"
    flash(f"{money.format_money(amount, code)} {said}", "success")
    return redirect(address(mode, Customer(customer_id, None, None)), 303)


def _must_be_known(customer_id: str) -> None:
    if not customers.is_known(actor(), customer_id):
        raise NotFound("Customer not found")


def _page(bought: Bought, person: Customer, **known: Any) -> Response:
    """What the person who looks may see of it."""
    can = actor().can
    return render(
        "dashboard/customers/show.html",
        person=person,
        payments=bought.payments if can("intents:read") else [],
        orders=bought.orders if can("orders:read") else [],
        more=bought.more,
        ids=[name for name in bought.ids if name != person.id],
        **known,
    )


def _credit(customer_id: str, errors: Errors | None = None, status: int = 200) -> Response:
    _must_be_known(customer_id)
    return render(
        "dashboard/customers/credit.html",
        status,
        customer_id=customer_id,
        credits=stored_value.credits_of(actor(), customer_id),
        change=request.form.get("change") or store_credit.new_change_id(),
        errors=errors or [],
        typed=request.form,
        form=FlaskForm(),
    )
