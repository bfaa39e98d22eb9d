"""Exports: asked for, followed while a worker writes them, downloaded (PY-077, PY-078, CK-065)."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import typed
from app.dashboard.shell import actor, render, screen
from app.domain.errors import DomainError, Gone, InvalidRequest
from app.domain.money import is_currency
from app.models.operations.export import Export
from app.models.operations.job import Job
from app.services.operations import exports
from app.services.operations.exporting.files import FORMATS
from app.services.operations.exports import ExportDraft
from app.web.job_views import word_of

blueprint = Blueprint("exports", __name__, url_prefix="/dashboard/<any(test, live):mode>/exports")


@blueprint.get("")
@screen("exports:read")
def index(mode: str) -> Response:
    """Exports, the newest first."""
    page = exports.list_page(actor(), cursor=request.args.get("cursor"))
    rows = [(export, _status(export, job)) for export, job in page.data]
    return render("dashboard/exports/index.html", rows=rows, next_url=typed.next_url(page))


@blueprint.get("/new")
@screen("exports:write")
def new(mode: str) -> Response:
    """The form."""
    return _form()


@blueprint.post("")
@screen("exports:write")
def create(mode: str) -> AnyResponse:
    """Ask for an export."""
    try:
        made, _ = exports.create(actor(), _draft())
    except DomainError as refused:
        return _form([{"field": _field(refused), "text": refused.message}], typed.status(refused))
    return redirect(f"/dashboard/{mode}/exports/{made.job_id}", 303)


@blueprint.get("/<job_id>")
@screen("exports:read")
def show(mode: str, job_id: str) -> Response:
    """How far an export is, asked again by the page itself until it is done; then its file."""
    export, job = exports.get(actor(), job_id)
    return render(
        "dashboard/exports/show.html",
        export=export,
        state=_status(export, job),
        problems=exports.problems(job)[-1:],
        place=exports.location(export),
        kept=export.expires_at is not None,
    )


@blueprint.get("/<job_id>/download")
@screen("exports:read")
def download(mode: str, job_id: str) -> AnyResponse:
    """To the file, by a link that opens it for a quarter of an hour."""
    export, _ = exports.get(actor(), job_id)
    link = exports.link(export)
    if link is None and export.finished_at is None:
        flash("The file is still being written", "warning")
        return redirect(f"/dashboard/{mode}/exports/{job_id}", 303)
    if link is None:
        raise Gone("This export is no longer kept here", code="export_gone")
    return redirect(link, 303)


def _draft() -> ExportDraft:
    """Raises InvalidRequest for what is not among the choices, or no day."""
    form = request.form
    dataset, format_ = form.get("dataset", ""), form.get("format", "")
    if dataset not in exports.DATASETS:
        raise InvalidRequest("Choose what to export", field="dataset")
    if format_ not in FORMATS:
        raise InvalidRequest("Choose a format", field="format")
    edges = {}
    for name in ("from", "to"):
        text = form.get(name, "").strip()
        edges[name] = typed.day(text, after=name == "to")
        if text and edges[name] is None:
            raise InvalidRequest("Enter a day like 2025-08-29", field=name)
    currency = form.get("currency", "").strip().upper()
    if currency and not is_currency(currency):
        raise InvalidRequest("Enter a currency like GBP", field="currency")
    return ExportDraft(
        dataset=dataset,
        format=format_,
        since=edges["from"],
        until=edges["to"],
        filters={"currency": currency} if currency else None,
    )


def _field(refused: DomainError) -> str:
    """The form's field for one of a request's."""
    field = (refused.field or "").removeprefix("query.")
    return {"type": "dataset", "": "dataset"}.get(field, field)


def _status(export: Export, job: Job) -> str:
    return "succeeded" if export.finished_at else word_of(job)


def _form(errors: typed.Errors | None = None, status: int = 200) -> Response:
    return render(
        "dashboard/exports/new.html",
        status,
        datasets=list(exports.DATASETS),
        formats=[name for name, kind in FORMATS.items() if kind.available],
        errors=errors or [],
        typed=request.form,
    )
