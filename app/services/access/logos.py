"""A merchant's logo: drawn anew when it is handed in, kept in the data folder under the hash of that.

Files are written and deleted while the merchant's row is locked, so that what it names is there. It is the
same in test mode and in live mode.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import settings as environment
from app.db import reading, transaction
from app.domain.actor import Actor, TenantProfile
from app.domain.errors import NotFound, PayloadTooLarge, Unprocessable
from app.kit import pictures
from app.models.access.tenant import Tenant
from app.services.access.tenants import refuse_test_keys
from app.services.operations import settings, stored_files


@dataclass(frozen=True, slots=True)
class Logo:
    """A merchant's logo: the size of its picture for pages, and what it needs behind it (kit/pictures.py)."""

    digest: str
    width: int
    height: int
    backing: str | None


#: The largest file that is taken, in bytes.
MAX_BYTES = 4 * 1024 * 1024
#: For pages, and for paper.
SIZES = ("page", "print")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def keep(actor: Actor, content: bytes) -> None:
    """Take a logo in place of the one before.

    Raises:
        PayloadTooLarge: the file is.
        Unprocessable: `picture_refused`: see `pictures.logo`.
        PermissionDenied: `live_mode_required`.
    """
    refuse_test_keys(actor)
    if len(content) > MAX_BYTES:
        raise PayloadTooLarge(f"A logo has at most {MAX_BYTES // 1024 // 1024} MB", field="logo")
    try:
        made = pictures.logo(content)
    except pictures.PictureRefused as refused:
        raise Unprocessable(str(refused), code="picture_refused", field="logo") from refused
    digest = hashlib.sha256(made.print + made.page).hexdigest()
    logo = asdict(Logo(digest, made.width, made.height, made.backing))
    with transaction(actor) as db:
        before = _put(db, actor, logo)
        for size, drawn in (("page", made.page), ("print", made.print)):
            stored_files.write(_path(actor.tenant_id, digest, size), drawn)
    _forget(actor, before)


def remove(actor: Actor) -> None:
    """Go without a logo; without one already, nothing changes."""
    refuse_test_keys(actor)
    with transaction(actor) as db:
        before = _put(db, actor, None)
    _forget(actor, before)


def of(profile: TenantProfile) -> Logo | None:
    """The logo of a merchant, if there is one."""
    kept = profile.settings.get("logo")
    return Logo(**kept) if kept else None


def for_paper(profile: TenantProfile) -> bytes | None:
    """Its large picture; None where there is none, or its file is gone: a receipt does without."""
    logo = of(profile)
    try:
        return _path(profile.id, logo.digest, "print").read_bytes() if logo else None
    except OSError:
        return None


def read(public_id: str, digest: str, size: str) -> bytes:
    """The picture of a merchant's logo, as it stands now.

    Raises:
        NotFound: it is another one by now, or there is none.
    """
    with reading() as db:
        tenant = db.scalars(select(Tenant).where(Tenant.public_id == public_id)).one_or_none()
    named = (tenant.settings.get("logo") or {}).get("digest") if tenant is not None else None
    if tenant is None or named != digest or size not in SIZES:
        raise NotFound("There is no such logo")
    try:
        return _path(tenant.id, digest, size).read_bytes()
    except OSError as gone:
        raise NotFound("There is no such logo") from gone


def _put(db: Session, actor: Actor, logo: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Write it onto the merchant's row; what was there before."""
    tenant = Tenant.locked(db, actor.tenant_id)
    before: Mapping[str, Any] | None = tenant.settings.get("logo")
    if before != logo:
        settings.store(tenant, actor, {"logo": logo})
        what = "tenant.logo_changed" if logo else "tenant.logo_removed"
        tenant.note(what, actor, before={"logo": before}, after={"id": tenant.id, "logo": logo})
    return before


def _forget(actor: Actor, logo: Mapping[str, Any] | None) -> None:
    """Delete the files of a logo, unless the row names it, again or still."""
    if logo is None:
        return
    with transaction(actor) as db:
        tenant = Tenant.locked(db, actor.tenant_id)
        if (tenant.settings.get("logo") or {}).get("digest") != logo["digest"]:
            for size in SIZES:
                _path(tenant.id, logo["digest"], size).unlink(missing_ok=True)


def _path(tenant_id: str, digest: str, size: str) -> Path:
    assert _DIGEST.fullmatch(digest)
    return environment.current().data_dir / "logos" / tenant_id / f"{digest}.{size}.png"
