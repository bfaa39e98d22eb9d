"""PUT /v1/uploads/{upload_id}: a document at its signed address (OP-36)."""

from __future__ import annotations

from flask import request
from pydantic import Field

from app.api.uploads.surface import surface
from app.domain.rules.documents import CONTENT_TYPES
from app.services.payments import kyc_documents, uploads
from app.web.schemas import Query
from app.web.surface import PUBLIC, Idempotency
from app.web.upload_views import UploadView


class Signature(Query):
    """The signature of the address."""

    token: str = Field("", max_length=500)


@surface.put(
    "/{upload_id}",
    "OP-36-put",
    query=Signature,
    returns=UploadView,
    auth=PUBLIC,
    signed=True,
    accepts=CONTENT_TYPES,
    idempotency=Idempotency.NONE,
)
def put(upload_id: str, query: Signature) -> UploadView:
    """Put a document at its signed address; the same bytes again change nothing."""
    upload = uploads.admit(upload_id, query.token)
    keep = kyc_documents.put if upload.kyc_id is not None else uploads.put
    return UploadView.of(keep(upload, request.mimetype, request.get_data()))
