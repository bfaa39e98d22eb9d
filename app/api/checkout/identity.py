"""CK-047, CK-048: the identity check of a checkout's buyer, its documents and their download (OP-36)."""

from __future__ import annotations

from typing import Literal

from flask import request

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.models.risk.kyc import KycRequest
from app.services.checkout import identity
from app.services.checkout.identity import Started
from app.services.payments import kyc_documents
from app.web.endpoint import Download
from app.web.schemas import Body, Instant, Nothing, View
from app.web.surface import BROWSER, Idempotency

_STATUS = Literal["pending", "submitted", "approved", "rejected"]


class KycResult(Body):
    """What was decided."""

    result: Literal["approved", "rejected"]


class KycView(View):
    """An identity check; `documents` is how many came in."""

    kyc_id: str
    checkout_id: str
    status: _STATUS
    provider: str
    documents: int
    decided_by: str | None
    decided_at: Instant | None
    created_at: Instant
    updated_at: Instant
    version: int

    @classmethod
    def of(cls, row: KycRequest) -> KycView:
        """The view of a row."""
        return cls.model_validate(facts_of(row))


class DocumentView(View):
    """A document that came in."""

    document_id: str
    content_type: str
    size: int
    stored_at: Instant


class WholeKycView(KycView):
    """A check with the documents that are still kept."""

    document_list: list[DocumentView]


class StartedView(KycView):
    """A check, and the address where the next document is put until it expires."""

    upload_url: str | None
    upload_method: str | None
    upload_expires_at: Instant | None

    @classmethod
    def started(cls, made: Started) -> StartedView:
        """The view of a check that was started."""
        waiting = made.waiting
        return cls(
            **facts_of(made.request),
            upload_url=made.upload_url,
            upload_method="PUT" if waiting is not None else None,
            upload_expires_at=waiting.expires_at if waiting is not None else None,
        )


@surface.post(
    "/sessions/{checkout_id}/kyc/start",
    "CK-047",
    body=Nothing,
    returns=StartedView,
    status=201,
    auth=BROWSER,
    permission="checkout:write",
    accepts=("multipart/form-data",),
    idempotency=Idempotency.LEASED,
)
def start(actor: Actor, checkout_id: str, body: Nothing | None) -> StartedView:
    """Start a KYC flow and store its request id; a form's field `file` may bring a document along."""
    if body is not None:
        return StartedView.started(identity.start(actor, checkout_id))
    files = request.files.getlist("file")
    if not files:
        raise InvalidRequest("file is required", code="missing_field", field="file")
    if len(files) > 1:
        raise InvalidRequest("Send one document at a time", code="one_document", field="file")
    [file] = files
    return StartedView.started(identity.hand_in(actor, checkout_id, file.mimetype, file.stream.read()))


@surface.get("/kyc/{kyc_id}", "CK-047-get", returns=WholeKycView, permission="fraud:read")
def get(actor: Actor, kyc_id: str) -> WholeKycView:
    """Read an identity check and what documents it has."""
    row = identity.get(actor, kyc_id)
    documents = [
        DocumentView(
            document_id=upload.id,
            content_type=upload.content_type,
            size=upload.size,
            stored_at=upload.stored_at,
        )
        for upload in kyc_documents.listed(row)
    ]
    return WholeKycView(**facts_of(row), document_list=documents)


@surface.get(
    "/kyc/{kyc_id}/documents/{document_id}", "CK-047-document", permission="fraud:write", downloads=True
)
def document(actor: Actor, kyc_id: str, document_id: str) -> Download:
    """Download a document of an identity check (audited)."""
    upload, data = identity.document(actor, kyc_id, document_id)
    return Download(data, upload.content_type, upload.filename)


@surface.post("/kyc/{kyc_id}/complete", "CK-048", body=KycResult, returns=KycView, permission="fraud:write")
def complete(actor: Actor, kyc_id: str, body: KycResult) -> KycView:
    """Mark a KYC request complete."""
    return KycView.of(identity.complete(actor, kyc_id, approved=body.result == "approved"))


def facts_of(row: KycRequest) -> dict[str, object]:
    """What every view of a check says."""
    names = set(KycView.model_fields) - {"kyc_id"}
    return {"kyc_id": row.id, **{name: getattr(row, name) for name in names}}
