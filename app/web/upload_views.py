"""How an upload looks in JSON."""

from __future__ import annotations

from app.models.payments.upload import Upload
from app.services.payments import uploads
from app.web.schemas import Instant, View


class UploadView(View):
    """A document: `pending`, `stored`, or `deleted` since its time was over.

    `upload_url` is there while it waits for its bytes; `url` names it as evidence.
    """

    id: str
    upload_id: str
    status: str
    filename: str
    content_type: str
    size: int | None
    sha256: str | None
    url: str
    upload_url: str | None
    upload_method: str | None
    expires_at: Instant | None
    created_at: Instant

    @classmethod
    def of(cls, row: Upload, *, signed: bool = False) -> UploadView:
        """The view of a row; with its signed address only where that is asked for."""
        return cls(
            id=row.id,
            upload_id=row.id,
            status="deleted" if row.deleted_at else "stored" if row.stored_at else "pending",
            filename=row.filename,
            content_type=row.content_type,
            size=row.size,
            sha256=row.sha256,
            url=uploads.url_of(row.id),
            upload_url=uploads.address(row) if signed and row.stored_at is None else None,
            upload_method="PUT" if row.stored_at is None else None,
            expires_at=row.expires_at if row.stored_at is None else None,
            created_at=row.created_at,
        )
