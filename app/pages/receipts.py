"""Receipts as pages and files: /receipts/{token}, for who was given the address; a paid page leads there."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, Response, redirect, render_template
from werkzeug.wrappers import Response as AnyResponse

from app.pages import receipt_pdf, views
from app.services.checkout import hosted, receipts
from app.web.opens import To, opens

blueprint = Blueprint("receipts", __name__)


@blueprint.get("/receipts/<token>")
@opens(To.ADDRESS)
def show(token: str) -> Response:
    """A receipt, to read and to print."""
    shown = receipts.by_token(token)
    kept = shown.receipt
    page = render_template(
        "receipts/show.html",
        receipt=kept,
        content=kept.content,
        paid_at=datetime.fromisoformat(kept.content["paid_at"]),
        refunded=shown.refunded,
        merchant={**views.merchant(shown.profile), "name": kept.content["seller"]["name"]},
        mode=kept.mode,
    )
    return Response(page, mimetype="text/html")


@blueprint.get("/receipts/<token>.pdf")
@opens(To.ADDRESS)
def as_file(token: str) -> AnyResponse:
    """The same as a PDF file; to the page where a file could not show all of it."""
    shown = receipts.by_token(token)
    views.merchant(shown.profile)  # their language, where the reader has none
    if not receipt_pdf.can_draw(shown):
        return redirect(f"/receipts/{token}", 303)
    response = Response(receipt_pdf.draw(shown), mimetype="application/pdf")
    name = f"receipt-{shown.receipt.public_number}.pdf"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@blueprint.get("/pay/<hosted_id>/receipt.pdf")
@opens(To.ADDRESS)
def file_of_session(hosted_id: str) -> AnyResponse:
    """To the file of a paid checkout's receipt."""
    session, _, _ = hosted.find(hosted_id)
    return redirect(f"{receipts.url_of(receipts.of_checkout(session))}.pdf", 303)


@blueprint.get("/pay/<hosted_id>/receipt")
@opens(To.ADDRESS)
def of_session(hosted_id: str) -> AnyResponse:
    """To the receipt of a paid checkout; a promised one is issued for the first who asks."""
    session, _, _ = hosted.find(hosted_id)
    return redirect(receipts.url_of(receipts.of_checkout(session)), 303)
