"""POST /v1/payments/uploads: documents as evidence, in one call or by a signed address (OP-36)."""

from __future__ import annotations

from flask import request
from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.services.payments import uploads
from app.web.endpoint import Download
from app.web.schemas import Body
from app.web.surface import Idempotency
from app.web.upload_views import UploadView


class UploadCreate(Body):
    """What will be put at the signed address: a PDF, PNG, JPEG or plain text of at most 5 MiB."""

    filename: str = Field(min_length=1, max_length=255)
    content_type: str = Field(max_length=100)


@surface.post(
    "/uploads",
    "OP-36",
    body=UploadCreate,
    returns=UploadView,
    status=201,
    permission="disputes:write",
    accepts=("multipart/form-data",),
    idempotency=Idempotency.LEASED,
)
def create(actor: Actor, body: UploadCreate | None) -> UploadView:
    """Upload a document as a form's field `file`, or ask with JSON for a signed address to put it at."""
    if body is not None:
        return UploadView.of(uploads.announce(actor, body.filename, body.content_type), signed=True)
    files = request.files.getlist("file")
    if not files:
        raise InvalidRequest("file is required", code="missing_field", field="file")
    if len(files) > 1:
        raise InvalidRequest("Send one document at a time", code="one_document", field="file")
    [file] = files
    return UploadView.of(uploads.store(actor, file.filename or "", file.mimetype, file.stream.read()))


@surface.get("/uploads/{upload_id}", "OP-36-get", returns=UploadView, permission="disputes:read")
def get(actor: Actor, upload_id: str) -> UploadView:
    """Read what is known of a document."""
    return UploadView.of(uploads.get(actor, upload_id))


@surface.get("/uploads/{upload_id}/content", "OP-36-content", permission="disputes:read", downloads=True)
def content(actor: Actor, upload_id: str) -> Download:
    """Download a document."""
    upload, data = uploads.content(actor, upload_id)
    return Download(data, upload.content_type, upload.filename)
