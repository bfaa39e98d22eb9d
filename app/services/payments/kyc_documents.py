"""Documents of identity checks: uploads in a folder of their own, which nobody reads but who may decide.

They are personal data. Files are encrypted, no journal entry and no log says what one holds or was called, no
address serves one to be shown, none is handed to a gateway, and `clean` deletes them when their time is over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path

import structlog
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app import settings
from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, DomainError, NotFound, Unprocessable
from app.domain.rules import documents
from app.kit import clock
from app.kit.crypto import DecryptionError
from app.kit.ids import new_id
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import record
from app.models.payments.upload import Upload
from app.models.risk.kyc import KycRequest
from app.services.operations import secrets_at_rest, stored_files
from app.services.operations.encryption_rotation import Count
from app.services.payments import uploads
from app.services.risk import kyc

log = structlog.get_logger("till.documents")

#: Front, back, a photograph, a proof of address, and room for another try.
MAX_DOCUMENTS = 10
#: How long documents are kept after the decision, and where none came after the beginning.
KEEP_DECIDED, KEEP_UNDECIDED = timedelta(days=30), timedelta(days=90)
#: A file that no row names is a leftover of a process that died, once it is so old.
_LEFT_OVER_SECONDS = 86_400

#: The type of a document that has not come yet: any of `documents.IDENTITY_TYPES`.
_ANY = "application/octet-stream"
_NAMES = {"application/pdf": "document.pdf", "image/png": "document.png", "image/jpeg": "document.jpg"}


def announce(db: Session, request: KycRequest, created_by: str) -> Upload:
    """Room for one more document, which will be put at its signed address; what waits is given again.

    Raises:
        Unprocessable: `too_many_documents`.
    """
    waiting = select(Upload).where(
        Upload.kyc_id == request.id,
        Upload.stored_at.is_(None),
        Upload.expires_at > clock.now() + uploads.LIFETIME / 2,
    )
    found = db.scalars(waiting.order_by(Upload.id.desc()).limit(1)).one_or_none()
    if found is not None:
        return found
    _refuse_many(request)
    upload = _new(request, created_by)
    db.add(upload)
    return upload


def store(actor: Actor, request: KycRequest, content_type: str, content: bytes) -> Upload:
    """Keep a document that came with the call.

    Raises:
        Conflict: the check is decided.
        PayloadTooLarge, InvalidRequest, Unprocessable: not a JPEG, PNG or PDF of the allowed size, or one too
            many.
    """
    check(content_type, content)
    upload = _new(request, actor.id)
    digest = hashlib.sha256(content).hexdigest()
    path = _path(upload, digest)
    _write(upload, path, content)
    try:
        with transaction(actor) as db:
            _came(db, request.id, "api")
            _fill(upload, content_type, content, digest)
            db.add(upload)
    except DomainError:  # after anything else it is not known whether a row names the file: `clean` will see
        path.unlink(missing_ok=True)
        raise
    return upload


def put(upload: Upload, content_type: str, content: bytes) -> Upload:
    """Take a document at its signed address; the same bytes once more change nothing.

    Raises:
        Conflict: another document is there already, or the check is decided.
        PayloadTooLarge, InvalidRequest, Unprocessable: see `store`.
    """
    check(content_type, content)
    digest = hashlib.sha256(content).hexdigest()
    if upload.stored_at is not None:
        return _same(upload, digest)
    path = _path(upload, digest)
    _write(upload, path, content)
    kept = False
    try:
        with transaction() as db:
            assert upload.kyc_id is not None
            _locked(db, upload.kyc_id)
            upload = db.get_one(Upload, upload.id, populate_existing=True)
            if upload.stored_at is None:
                _came(db, upload.kyc_id or "", "signed_address")
                _fill(upload, content_type, content, digest)
            kept = upload.sha256 == digest
            return _same(upload, digest)
    except DomainError:
        if not kept:
            path.unlink(missing_ok=True)
        raise


def check(content_type: str, content: bytes) -> None:
    """Whether that may be a document; see `store` for what is refused."""
    uploads.check(content_type, content, documents.IDENTITY_TYPES)


def listed(request: KycRequest) -> list[Upload]:
    """The stored documents of a check, in the order in which they came."""
    statement = select(Upload).where(Upload.kyc_id == request.id, Upload.stored_at.is_not(None))
    with reading() as db:
        return list(db.scalars(statement.order_by(Upload.stored_at, Upload.id)))


def content(actor: Actor, request: KycRequest, upload_id: str) -> tuple[Upload, bytes]:
    """A document for whoever has to decide; that it was read is kept in the journal.

    Raises:
        NotFound: the check has no such document, or it was deleted.
    """
    with transaction(actor) as db:
        statement = select(Upload).where(
            Upload.id == upload_id, Upload.kyc_id == request.id, Upload.stored_at.is_not(None)
        )
        upload = db.scalars(statement).one_or_none()
        if upload is None:
            raise NotFound("Document not found", code="document_not_found")
        try:
            data = _path(upload, upload.sha256 or "").read_bytes()
        except FileNotFoundError as gone:
            raise NotFound("This document was deleted", code="document_not_found") from gone
        _tell(db, request, "kyc.document_read", {"document_id": upload.id})
    return upload, _opened(upload, data)


def rotate() -> Count:
    """Encrypt files that are not yet, or stand under an older key; it may be broken off and begun again."""
    count, last = Count("kyc documents"), ""
    while True:
        stored = select(Upload).where(Upload.kyc_id.is_not(None), Upload.stored_at.is_not(None))
        with reading() as db:
            rows = list(db.scalars(stored.where(Upload.id > last).order_by(Upload.id).limit(200)))
        for upload in rows:
            try:
                count.rotated += _rotate(upload)
            except OSError:
                count.unreadable += 1
                log.exception("cannot_be_decrypted", name=count.name, entity_id=upload.id)
        if not rows:
            return count
        last = rows[-1].id


def _rotate(upload: Upload) -> bool:
    path = _path(upload, upload.sha256 or "")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return False
    if not secrets_at_rest.needs_sealing(data):
        return False
    _write(upload, path, _opened(upload, data))
    with reading() as db:
        if db.get(Upload, upload.id) is None:  # `clean` was here in between
            path.unlink(missing_ok=True)
    return True


def _write(upload: Upload, path: Path, content: bytes) -> None:
    stored_files.write(path, secrets_at_rest.seal(content, upload.tenant_id, upload.id, "document"))


def _opened(upload: Upload, data: bytes) -> bytes:
    """What a file holds, checked against its hash.

    Raises:
        OSError: it was altered, or no key opens it.
    """
    try:
        content = secrets_at_rest.unseal(data, upload.tenant_id, upload.id, "document")
    except DecryptionError as error:
        raise OSError(f"the file of document {upload.id} cannot be decrypted") from error
    if hashlib.sha256(content).hexdigest() != upload.sha256:
        raise OSError(f"the file of document {upload.id} was altered")
    return content


def clean(limit: int = 200) -> int:
    """Delete documents whose time is over, and files that no row names. Returns how many documents."""
    now = clock.now()
    over = (KycRequest.decided_at < now - KEEP_DECIDED) | (
        KycRequest.decided_at.is_(None) & (KycRequest.created_at < now - KEEP_UNDECIDED)
    )
    statement = (
        select(Upload, KycRequest)
        .join(KycRequest, KycRequest.id == Upload.kyc_id)
        .where(Upload.stored_at.is_not(None), over)
        .order_by(Upload.id)
        .limit(limit)
    )
    with reading() as db:
        due = list(db.execute(statement))
    for upload, request in due:
        _path(upload, upload.sha256 or "").unlink(missing_ok=True)
        with transaction() as db:
            gone = db.execute(delete(Upload).where(Upload.id == upload.id)).rowcount  # type: ignore[attr-defined]
            if gone:
                _tell(db, request, "kyc.document_deleted", {"document_id": upload.id})
    _sweep_left_over()
    return len(due)


def _new(request: KycRequest, created_by: str) -> Upload:
    return Upload(
        id=new_id("upl"),
        tenant_id=request.tenant_id,
        mode=request.mode,
        purpose="kyc",
        kyc_id=request.id,
        filename="document",
        content_type=_ANY,
        expires_at=clock.now().replace(microsecond=0) + uploads.LIFETIME,
        created_by=created_by[:40],
    )


def _fill(upload: Upload, content_type: str, content: bytes, digest: str) -> None:
    upload.content_type, upload.filename = content_type, _NAMES[content_type]
    upload.size, upload.sha256, upload.stored_at = len(content), digest, clock.now()


def _came(db: Session, kyc_id: str, cause: str) -> None:
    session, request = _locked(db, kyc_id)
    _refuse_many(request)
    kyc.document_came(session, request, cause=cause)


def _locked(db: Session, kyc_id: str) -> tuple[CheckoutSession, KycRequest]:
    """The checkout and its check, locked in the house's order."""
    checkout_id = db.scalar(select(KycRequest.checkout_id).where(KycRequest.id == kyc_id))
    return (
        db.get_one(CheckoutSession, checkout_id, with_for_update=True),
        db.get_one(KycRequest, kyc_id, with_for_update=True),
    )


def _same(upload: Upload, digest: str) -> Upload:
    if upload.sha256 != digest:
        raise Conflict("Another document was put here", code="upload_already_stored")
    return upload


def _refuse_many(request: KycRequest) -> None:
    if request.documents >= MAX_DOCUMENTS:
        raise Unprocessable(
            f"An identity check takes {MAX_DOCUMENTS} documents at most", code="too_many_documents"
        )


def _tell(db: Session, request: KycRequest, type_: str, after: dict[str, str]) -> None:
    record(
        db,
        type_,
        tenant_id=request.tenant_id,
        mode=request.mode,
        entity="kyc",
        entity_id=request.id,
        cause="retention" if type_ == "kyc.document_deleted" else "api",
        after=after,
        **request.journal_links(),
    )


def _folder() -> Path:
    return settings.current().data_dir / "kyc"


def _path(upload: Upload, sha256: str) -> Path:
    return _folder() / upload.tenant_id / f"{upload.id}.{sha256}"


def _sweep_left_over() -> None:
    """Delete old files that no stored document names."""
    oldest = clock.now().timestamp() - _LEFT_OVER_SECONDS
    old = (path for path in _folder().glob("*/*") if path.stat().st_mtime < oldest)
    for batch in _batches(old, 500):
        ids = [path.name.partition(".")[0] for path in batch]
        with reading() as db:
            named = db.execute(select(Upload.id, Upload.sha256).where(Upload.id.in_(ids)))
            names = {f"{upload_id}.{digest}" for upload_id, digest in named}
        for path in batch:
            if path.name not in names:
                path.unlink(missing_ok=True)


def _batches(paths: Iterable[Path], size: int) -> Iterator[list[Path]]:
    rest = iter(paths)
    while batch := list(islice(rest, size)):
        yield batch
