"""Connectors: accounts at gateways; the form is drawn from the fields that each type declares (PY-034 ff.).

Secrets go in and never come out again: a form shows no stored value of a secret field, nor a typed one.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.connectors import registry
from app.dashboard import typed
from app.dashboard.shell import actor, render, screen
from app.domain.errors import DomainError, InvalidRequest
from app.models.payments.connector import ConnectorAccount
from app.services.operations import connector_configs
from app.services.payments import connector_logs, connectors, routing_rules
from app.services.payments.connectors import ConnectorChange, ConnectorDraft

blueprint = Blueprint("connectors", __name__, url_prefix="/dashboard/<any(test, live):mode>/connectors")

#: Form value → seconds for which webhooks signed under the old secret are still taken.
GRACES = {"0": 0, "1h": 3600, "1d": 86_400, "7d": connectors.MAX_GRACE_SECONDS}
MAX_PRIORITY = 1_000_000
#: What a call may come to (services/payments/gateway.py).
OUTCOMES = (
    *("approved", "declined", "action_required", "pending", "not_executed", "unknown"),
    *("found", "not_found", "ok", "refused", "failed"),
)
_CONFIG = "config."


@blueprint.get("")
@screen("connectors:read")
def index(mode: str) -> Response:
    """The merchant's connectors."""
    page = connectors.list_page(actor(), cursor=request.args.get("cursor"))
    return render(
        "dashboard/connectors/index.html",
        rows=page.data,
        labels=_labels(),
        next_url=typed.next_url(page),
    )


@blueprint.get("/new")
@screen("connectors:write", step_up="connectors")
def new(mode: str) -> AnyResponse:
    """Which type, and then its form."""
    return _new()


@blueprint.post("")
@screen("connectors:write", step_up="connectors")
def create(mode: str) -> AnyResponse:
    """Add a connector."""
    form = request.form
    try:
        draft = ConnectorDraft(
            name=_name(),
            type=_type(form.get("type", "")),
            config=_given(),
            priority=typed.number("priority", 0, MAX_PRIORITY),
            region=form.get("region", "").strip()[:40] or None,
        )
        made = connectors.create(actor(), draft)
    except DomainError as refused:
        return _new(typed.complaint(refused), typed.status(refused))
    flash(f"{made.name} is added. Test it before it takes a payment.", "success")
    return redirect(_at(mode, made), 303)


@blueprint.get("/<connector_id>")
@screen("connectors:read")
def show(mode: str, connector_id: str) -> Response:
    """One connector: its settings, its rules and its latest calls."""
    account = connectors.get(actor(), connector_id)
    operation = request.args.get("operation", "").strip()[:40]
    outcome = typed.chosen(OUTCOMES, "outcome")
    page = connector_logs.list_page(
        actor(),
        connector_id,
        cursor=request.args.get("cursor"),
        operation=operation or None,
        outcome=outcome,
    )
    return render(
        "dashboard/connectors/show.html",
        account=account,
        label=_labels().get(account.type, account.type),
        settings=_settings(account),
        rules=routing_rules.list_page(actor(), connector_id=account.id, limit=20).data,
        logs=page.data,
        shown={"operation": operation, "outcome": outcome},
        outcomes=OUTCOMES,
        next_url=typed.next_url(page, operation=operation, outcome=outcome),
    )


@blueprint.get("/<connector_id>/edit")
@screen("connectors:write", step_up="connectors")
def edit(mode: str, connector_id: str) -> AnyResponse:
    """The form of what is no secret."""
    return _edit(connector_id)


@blueprint.post("/<connector_id>/edit")
@screen("connectors:write", step_up="connectors")
def save(mode: str, connector_id: str) -> AnyResponse:
    """Change name, priority, region and the settings that are no secret."""
    account = connectors.get(actor(), connector_id)
    try:
        values = {
            "name": _name(),
            "priority": typed.number("priority", 0, MAX_PRIORITY),
            "region": request.form.get("region", "").strip()[:40] or None,
        }
        version = typed.number("version", 0, 2**53)
        config = {name: value or None for name, value in _given(account.type, secret=False).items()}
        changes = {name: value for name, value in values.items() if getattr(account, name) != value}
        connectors.change(actor(), connector_id, ConnectorChange(changes, config or None, version=version))
    except DomainError as refused:
        return _edit(connector_id, typed.complaint(refused), typed.status(refused))
    flash("Saved", "success")
    return redirect(_at(mode, account), 303)


@blueprint.get("/<connector_id>/credentials")
@screen("connectors:write", step_up="connectors")
def ask_credentials(mode: str, connector_id: str) -> AnyResponse:
    """The form of new credentials, empty."""
    return _credentials(connector_id)


@blueprint.post("/<connector_id>/credentials")
@screen("connectors:write", step_up="connectors")
def rotate(mode: str, connector_id: str) -> AnyResponse:
    """Give it new credentials; what is left empty stays as it is."""
    account = connectors.get(actor(), connector_id)
    given = {name: value for name, value in _given(account.type, secret=True).items() if value}
    try:
        if not given:
            raise InvalidRequest("Enter at least one new value")
        grace = GRACES.get(request.form.get("grace", ""), 0)
        connectors.rotate(actor(), connector_id, given, grace_seconds=grace)
    except DomainError as refused:
        return _credentials(connector_id, typed.complaint(refused), typed.status(refused))
    flash("Every call uses the new credentials from now on. Test them.", "success")
    return redirect(_at(mode, account), 303)


@blueprint.post("/<connector_id>/test")
@screen("connectors:write")
def test(mode: str, connector_id: str) -> AnyResponse:
    """Try credentials and connectivity; no money moves."""
    account = connectors.get(actor(), connector_id)
    try:
        found, took = connectors.test(actor(), connector_id)
        flash(f"{found.message} ({took} ms)", "success" if found.ok else "danger")
    except DomainError as refused:
        flash(refused.message, "danger")
    return redirect(_at(mode, account), 303)


@blueprint.get("/<connector_id>/<any(disable, enable, delete):what>")
@screen("connectors:write", step_up="connectors")
def ask(mode: str, connector_id: str, what: str) -> AnyResponse:
    """What it would do (also where a step-up leads back to)."""
    return _ask(connector_id, what)


@blueprint.post("/<connector_id>/<any(disable, enable, delete):what>")
@screen("connectors:write", step_up="connectors")
def act(mode: str, connector_id: str, what: str) -> AnyResponse:
    """Switch a connector off or on, or take it away."""
    account = connectors.get(actor(), connector_id)
    try:
        if what == "delete":
            connectors.delete(actor(), connector_id)
            flash(f"{account.name} was removed", "success")
            return redirect(f"/dashboard/{mode}/connectors", 303)
        status = "active" if what == "enable" else "disabled"
        connectors.change(actor(), connector_id, ConnectorChange({}, status=status))
    except DomainError as refused:
        return _ask(connector_id, what, typed.complaint(refused), typed.status(refused))
    words = "takes payments again" if what == "enable" else "takes no new payments"
    flash(f"{account.name} {words}", "success")
    return redirect(_at(mode, account), 303)


def _name() -> str:
    """Raises InvalidRequest where there is none."""
    name = request.form.get("name", "").strip()
    if not 0 < len(name) <= 100:
        raise InvalidRequest("Enter a name of at most 100 characters", field="name")
    return name


def _type(name: str) -> str:
    """Raises InvalidRequest where no connector of the type is installed."""
    if connector_configs.declared(name) is None:
        raise InvalidRequest("Choose a gateway", field="type")
    return name


def _given(type_: str | None = None, *, secret: bool | None = None) -> dict[str, str | None]:
    """What was typed into the fields of a configuration; of one that is made, only what is not empty."""
    typed_in = {
        name.removeprefix(_CONFIG): value.strip()
        for name, value in request.form.items()
        if name.startswith(_CONFIG)
    }
    if type_ is None:
        return {name: value for name, value in typed_in.items() if value}
    fields = connector_configs.declared(type_) or ()
    wanted = [field.name for field in fields if secret is None or field.secret == secret]
    return {name: typed_in[name] for name in wanted if name in typed_in}


def _new(errors: typed.Errors | None = None, status: int = 200) -> Response:
    wanted = request.form.get("type") or request.args.get("type", "")
    fields = connector_configs.declared(wanted) if wanted else None
    return render(
        "dashboard/connectors/new.html",
        status,
        type=wanted if fields is not None else None,
        fields=fields or (),
        labels=_labels(),
        errors=errors or [],
        typed=request.form,
    )


def _edit(connector_id: str, errors: typed.Errors | None = None, status: int = 200) -> Response:
    account = connectors.get(actor(), connector_id)
    fields = [field for field in connector_configs.declared(account.type) or () if not field.secret]
    shown = {_CONFIG + name: value for name, value in connector_configs.masked(account).items()}
    plain = {name: getattr(account, name) for name in ("name", "priority", "region", "version")}
    return render(
        "dashboard/connectors/edit.html",
        status,
        account=account,
        fields=fields,
        errors=errors or [],
        typed={**plain, **shown, **request.form.to_dict()},
    )


def _credentials(connector_id: str, errors: typed.Errors | None = None, status: int = 200) -> Response:
    account = connectors.get(actor(), connector_id)
    fields = connector_configs.declared(account.type)
    if not fields:
        abort(404)
    return render(
        "dashboard/connectors/credentials.html",
        status,
        account=account,
        fields=[field for field in fields if field.secret],
        shown=connector_configs.masked(account),
        signs=any(field.signs_webhooks for field in fields),
        errors=errors or [],
        typed=request.form,
    )


def _ask(connector_id: str, what: str, errors: typed.Errors | None = None, status: int = 200) -> Response:
    account = connectors.get(actor(), connector_id)
    page = routing_rules.list_page(actor(), connector_id=account.id, limit=100)
    return render(
        "dashboard/connectors/ask.html",
        status,
        account=account,
        what=what,
        rules=len(page.data),
        errors=errors or [],
    )


def _settings(account: ConnectorAccount) -> list[tuple[str, Any]]:
    """The configuration as it may be shown, by the labels of its fields."""
    labels = {field.name: field.label for field in connector_configs.declared(account.type) or ()}
    return [(labels.get(name, name), value) for name, value in connector_configs.masked(account).items()]


def _labels() -> dict[str, str]:
    """Type → what people call it."""
    return {connector.name: connector.label for connector in registry.installed()}


def _at(mode: str, account: ConnectorAccount) -> str:
    return f"/dashboard/{mode}/connectors/{account.id}"
