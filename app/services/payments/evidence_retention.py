"""How long documents of disputes are kept: `dispute_retention_days` after the dispute has ended (PY-080).

The bytes go. The rows of the evidence and the journal stay, with each document's hash: they prove for good
what was handed in.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select

from app.db import reading, transaction
from app.kit import clock
from app.models.access.tenant import Tenant
from app.models.payments.dispute import Dispute, DisputeEvidence
from app.models.payments.upload import Upload
from app.services.operations.settings import checkout_settings
from app.services.payments import uploads

#: Files of this long are looked for once more: a process may die between the row and its file.
_LOOK_AGAIN = timedelta(days=7)
_ENDED = func.coalesce(Dispute.closed_at, Dispute.decided_at)


def clean() -> int:
    """Delete documents whose time is over. Returns how many."""
    with reading() as db:
        holders = db.execute(
            select(Upload.tenant_id, Upload.mode)
            .join(DisputeEvidence, DisputeEvidence.upload_id == Upload.id)
            .where(Upload.deleted_at.is_(None))
            .distinct()
        ).all()
        limits = [
            (tenant_id, mode, _limit(db.get_one(Tenant, tenant_id), mode)) for tenant_id, mode in holders
        ]
        due = [
            (upload_id, before)
            for tenant_id, mode, before in limits
            for upload_id in db.scalars(
                _over(before).where(Upload.tenant_id == tenant_id, Upload.mode == mode)
            )
        ]
    deleted = sum(_delete(upload_id, before) for upload_id, before in due)
    _look_again()
    return deleted


def _limit(tenant: Tenant, mode: str) -> datetime:
    return clock.now() - timedelta(days=checkout_settings(tenant.profile(mode)).dispute_retention_days)


def _over(before: datetime) -> Select[Any]:
    """The ids of documents all of whose disputes have ended before then."""
    return (
        select(Upload.id)
        .join(DisputeEvidence, DisputeEvidence.upload_id == Upload.id)
        .join(Dispute, Dispute.id == DisputeEvidence.dispute_id)
        .where(Upload.deleted_at.is_(None))
        .group_by(Upload.id)
        .having(func.count() == func.count(_ENDED), func.max(_ENDED) < before)
        .order_by(Upload.id)
    )


def _delete(upload_id: str, before: datetime) -> bool:
    with transaction() as db:
        upload = db.get_one(Upload, upload_id, with_for_update=True)
        if db.scalar(_over(before).where(Upload.id == upload_id)) is None:
            return False  # it was handed in again meanwhile
        upload.deleted_at = clock.now()
        uploads.tell(db, upload, "upload.deleted", "retention")
    uploads.unlink(upload)
    return True


def _look_again() -> None:
    with reading() as db:
        lately = db.scalars(select(Upload).where(Upload.deleted_at > clock.now() - _LOOK_AGAIN)).all()
    for upload in lately:
        uploads.unlink(upload)
