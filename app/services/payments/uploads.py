"""Uploads: documents in the data folder, sent in one call or to a signed address that expires (OP-36).

The bytes are written before the row says so; a file's name holds its hash, so that of two who write at once
each writes its own and the row names the winner's.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app import settings
from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    Unauthenticated,
    Unprocessable,
)
from app.domain.rules import documents
from app.kit import clock, signing
from app.kit.ids import new_id
from app.models.events.journal import record
from app.models.payments.upload import Upload
from app.services.operations import stored_files

#: How long a signed address may be used.
LIFETIME = timedelta(minutes=15)
#: How long what nobody sent is remembered.
KEEP_WAITING = timedelta(days=1)

_PURPOSE = "dispute_evidence"


def announce(actor: Actor, filename: str, content_type: str) -> Upload:
    """Make room for a document that will be put at its signed address.

    Raises:
        Unprocessable: not a type that is taken.
    """
    _check_type(content_type)
    upload = _new(actor, filename, content_type)
    with transaction(actor) as db:
        db.add(upload)
        tell(db, upload, "upload.announced", "api")
        return upload


def store(actor: Actor, filename: str, content_type: str, content: bytes) -> Upload:
    """Keep a document that came with the call.

    Raises:
        PayloadTooLarge: over the limit.
        Unprocessable: not a type that is taken, or not what it says it is.
    """
    check(content_type, content)
    upload = _new(actor, filename, content_type)
    upload.size, upload.sha256 = len(content), hashlib.sha256(content).hexdigest()
    upload.stored_at = clock.now()
    stored_files.write(_path(upload.tenant_id, upload.id, upload.sha256), content)
    with transaction(actor) as db:
        db.add(upload)
        tell(db, upload, "upload.stored", "api")
        return upload


def address(upload: Upload) -> str:
    """The signed address where the document may be put until it expires."""
    claims = {"id": upload.id, "exp": int(upload.expires_at.timestamp())}
    token = signing.sign_token("upload", claims, settings.current().signing_key)
    return f"{url_of(upload.id)}?token={token}"


def url_of(upload_id: str) -> str:
    """The address of a document, without a signature; evidence may name it by this."""
    return f"{settings.current().base_url}/v1/uploads/{upload_id}"


def named_by(url: str) -> str | None:
    """The id of the upload that one of our own addresses names; None for anybody else's."""
    prefix = url_of("")
    return url.removeprefix(prefix).partition("?")[0] if url.startswith(prefix) else None


def admit(upload_id: str, token: str) -> Upload:
    """The upload that a signed address names.

    Raises:
        Unauthenticated: the signature is not good, not for this document, or has expired.
    """
    claims = signing.read_token("upload", token, settings.current().signing_key, clock.now())
    if claims is not None and claims.get("id") == upload_id:
        with reading() as db:
            upload = db.get(Upload, upload_id)
        if upload is not None:
            return upload
    raise Unauthenticated("The address is not valid or has expired", code="invalid_signature")


def put(upload: Upload, content_type: str, content: bytes) -> Upload:
    """Take a document at its signed address; the same bytes once more change nothing.

    Raises:
        Conflict: another document is there already.
        PayloadTooLarge, Unprocessable: see `store`.
    """
    if content_type != upload.content_type:
        raise Unprocessable(
            f"This address takes {upload.content_type}", code="content_type_mismatch", field="Content-Type"
        )
    check(upload.content_type, content)
    digest = hashlib.sha256(content).hexdigest()
    path = _path(upload.tenant_id, upload.id, digest)
    stored_files.write(path, content)
    with transaction() as db:
        won = db.execute(
            update(Upload)
            .where(Upload.id == upload.id, Upload.stored_at.is_(None))
            .values(stored_at=clock.now(), size=len(content), sha256=digest, updated_at=clock.now())
            .execution_options(synchronize_session=False)
        ).rowcount  # type: ignore[attr-defined]
        upload = db.get_one(Upload, upload.id, populate_existing=True)
        if won:
            tell(db, upload, "upload.stored", "signed_address")
    if upload.sha256 != digest:
        path.unlink(missing_ok=True)
        raise Conflict("Another document was put here", code="upload_already_stored")
    return upload


def get(actor: Actor, upload_id: str) -> Upload:
    """One upload of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        return find(db, actor, upload_id)


def find(db: Session, actor: Actor, upload_id: str, *, lock: bool = False) -> Upload:
    """See `get`, in the caller's transaction. Documents of identity checks are not among these."""
    statement = select(Upload).where(
        Upload.id == upload_id,
        Upload.tenant_id == actor.tenant_id,
        Upload.mode == actor.mode,
        Upload.kyc_id.is_(None),
    )
    found = db.scalars(statement.with_for_update() if lock else statement).one_or_none()
    if found is None:
        raise NotFound("Upload not found", code="upload_not_found")
    return found


def content(actor: Actor, upload_id: str) -> tuple[Upload, bytes]:
    """A stored document and its bytes.

    Raises:
        NotFound: there is none, it is another merchant's, nothing was put there, or its time was over.
    """
    upload = get(actor, upload_id)
    if upload.stored_at is None:
        raise NotFound("Nothing was uploaded yet", code="upload_not_found")
    if upload.deleted_at is not None:
        raise deleted()
    return upload, read(upload.tenant_id, upload.id, upload.sha256 or "")


def deleted() -> NotFound:
    """The refusal of a document that was kept for as long as the merchant keeps them."""
    return NotFound("This document was deleted when its time was over", code="upload_deleted")


def read(tenant_id: str, upload_id: str, sha256: str) -> bytes:
    """The bytes of a stored document, checked against their hash.

    Raises:
        OSError: the file is gone or was altered.
    """
    data = _path(tenant_id, upload_id, sha256).read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise OSError(f"the file of upload {upload_id} was altered")
    return data


def unlink(upload: Upload) -> None:
    """Take the file of a deleted document away, if it is there."""
    _path(upload.tenant_id, upload.id, upload.sha256 or "").unlink(missing_ok=True)


def clean() -> int:
    """Forget announcements that nobody followed. Returns how many."""
    old = delete(Upload).where(Upload.stored_at.is_(None), Upload.expires_at < clock.now() - KEEP_WAITING)
    with transaction() as db:
        return int(db.execute(old).rowcount)  # type: ignore[attr-defined]


def _new(actor: Actor, filename: str, content_type: str) -> Upload:
    return Upload(
        id=new_id("upl"),
        tenant_id=actor.tenant_id,
        mode=str(actor.mode),
        purpose=_PURPOSE,
        filename=documents.safe_name(filename),
        content_type=content_type,
        expires_at=clock.now().replace(microsecond=0) + LIFETIME,
        created_by=actor.id,
    )


def tell(db: Session, upload: Upload, type_: str, cause: str) -> None:
    """Write to the journal what became of a document."""
    record(
        db,
        type_,
        tenant_id=upload.tenant_id,
        mode=upload.mode,
        entity="upload",
        entity_id=upload.id,
        cause=cause,
        after={
            "id": upload.id,
            "filename": upload.filename,
            "content_type": upload.content_type,
            "size": upload.size,
            "sha256": upload.sha256,
        },
    )


def _check_type(content_type: str, allowed: tuple[str, ...] = documents.CONTENT_TYPES) -> None:
    if content_type not in allowed:
        raise Unprocessable(
            "Documents are " + ", ".join(allowed),
            code="unsupported_content_type",
            field="content_type",
        )


def check(content_type: str, content: bytes, allowed: tuple[str, ...] = documents.CONTENT_TYPES) -> None:
    """Raises PayloadTooLarge, InvalidRequest or Unprocessable: the bytes are no document of that type."""
    _check_type(content_type, allowed)
    if len(content) > documents.MAX_BYTES:
        raise PayloadTooLarge(f"A document has at most {documents.MAX_BYTES} bytes")
    if not content:
        raise InvalidRequest("The document is empty", code="empty_document", field="file")
    if not documents.is_a(content, content_type):
        raise Unprocessable(f"The document is not {content_type}", code="content_type_mismatch", field="file")


def _path(tenant_id: str, upload_id: str, sha256: str) -> Path:
    return settings.current().data_dir / "uploads" / tenant_id / f"{upload_id}.{sha256}"
