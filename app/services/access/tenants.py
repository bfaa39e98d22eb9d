"""Merchants (tenants): create, find, their settings and inbound secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from app.db import reading, transaction
from app.domain.actor import Actor, Mode, TenantProfile
from app.domain.errors import InvalidRequest, NotFound, PermissionDenied
from app.kit import clock, signing
from app.kit.ids import new_id, new_uuid, random_token
from app.models.access.tenant import Tenant
from app.services.operations import secrets_at_rest, settings

#: Would clash with fixed first segments of paths (OP-44).
RESERVED_SLUGS = frozenset({"checkout", "payments", "auth", "uploads"})
MAX_NAME = 80
#: Who signs what they send us.
INBOUND = ("payment", "threeds", "fraud", "kyc", "stripe")


def create(name: str, slug: str, currency: str, *, settings: dict[str, Any] | None = None) -> Tenant:
    """Make a merchant with fresh inbound secrets.

    Raises:
        InvalidRequest: the slug is reserved or empty.
    """
    if slug in RESERVED_SLUGS or not slug:
        raise InvalidRequest("This name is reserved", field="slug")
    tenant_id = new_id("ten")
    tenant = Tenant(
        id=tenant_id,
        public_id=new_uuid(),
        slug=slug,
        name=name,
        default_currency=currency,
        settings=settings or {},
        inbound_secrets={
            kind: secrets_at_rest.encrypt(_inbound_secret(kind), tenant_id, "inbound", kind)
            for kind in INBOUND
        },
    )
    with transaction() as db:
        db.add(tenant)
    return tenant


def inbound_secret(actor: Actor, kind: str) -> str:
    """The secret with which `kind` signs; made where the merchant is older than the kind.

    Raises:
        InvalidRequest: nobody of that kind sends us anything.
    """
    if kind not in INBOUND:
        raise InvalidRequest(f"One of {', '.join(INBOUND)}", field="kind")
    with transaction(actor) as db:
        tenant = Tenant.locked(db, actor.tenant_id)
        if kind not in tenant.inbound_secrets:
            made = secrets_at_rest.encrypt(_inbound_secret(kind), tenant.id, "inbound", kind)
            tenant.inbound_secrets = {**tenant.inbound_secrets, kind: made}
            tenant.note("inbound_secret.created", actor, after={"kind": kind})
        return secrets_at_rest.decrypt(tenant.inbound_secrets[kind], tenant.id, "inbound", kind)


def refuse_test_keys(actor: Actor) -> None:
    """What belongs to the merchant as a whole is not a test key's to change (docs/adr/0040).

    Raises:
        PermissionDenied: `live_mode_required`.
    """
    if actor.is_test_key:
        raise PermissionDenied("This is changed by people or live keys", code="live_mode_required")


def brand(actor: Actor, name: str, changes: Mapping[str, Any], *, expected: int | None = None) -> None:
    """Change the merchant's name and the settings of its look together.

    Raises:
        InvalidRequest: no name, or see `settings.change`.
        VersionConflict: the settings were changed since `expected` was read.
        PermissionDenied: `live_mode_required`.
    """
    refuse_test_keys(actor)
    wanted = name.strip()
    if not 0 < len(wanted) <= MAX_NAME or not wanted.isprintable():
        raise InvalidRequest(f"Enter a name of at most {MAX_NAME} characters", field="name")
    with transaction(actor) as db:
        settings.change(actor, changes, expected=expected)
        tenant = Tenant.locked(db, actor.tenant_id)
        if tenant.name == wanted:
            return
        before, tenant.name = tenant.name, wanted
        tenant.settings_version += 1
        after = {"id": tenant.id, "name": wanted}
        tenant.note("tenant.renamed", actor, before={"name": before}, after=after)


def slug_of(name: str) -> str:
    """A name as a slug."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def by_slug(slug: str) -> Tenant | None:
    """The merchant of that slug."""
    with reading() as db:
        return db.scalars(select(Tenant).where(Tenant.slug == slug)).one_or_none()


def named(name: str) -> str | None:
    """The id of the merchant that somebody names by id, slug or public id."""
    statement = select(Tenant.id).where(or_(Tenant.id == name, Tenant.slug == name, Tenant.public_id == name))
    with reading() as db:
        return db.scalars(statement).first()


def all_ids() -> list[str]:
    """Every merchant's id."""
    with reading() as db:
        return list(db.scalars(select(Tenant.id).order_by(Tenant.id)))


def profile(tenant_id: str, mode: str) -> TenantProfile:
    """What actors in a mode carry of a merchant.

    Raises:
        NotFound: there is none.
    """
    with reading() as db:
        tenant = db.get(Tenant, tenant_id)
    if tenant is None:
        raise NotFound("No such merchant")
    return tenant.profile(mode)


def name_of(tenant_id: str) -> str:
    """What shoppers know the merchant by."""
    return profile(tenant_id, Mode.LIVE).name


def end_tokens(actor: Actor) -> datetime:
    """End what everybody of the merchant is signed in with, and all tokens of its keys; the keys go on.

    Returns:
        From when on tokens are good.
    """
    with transaction(actor) as db:
        tenant = Tenant.locked(db, actor.tenant_id)
        tenant.tokens_valid_after = now = clock.now()
        tenant.note("tenant.tokens_ended", actor, mode=Mode.LIVE, after={"id": tenant.id})
    return now


def suspend(actor: Actor, reason: str = "") -> None:
    """Let nobody of the merchant in, and begin no new payment; what is under way is brought to its end."""
    _stop(actor, clock.now(), "tenant.suspended", reason)


def resume(actor: Actor) -> None:
    """Let everybody in again."""
    _stop(actor, None, "tenant.resumed", "")


def refuse_suspended(profile: TenantProfile, words: str = "This merchant is suspended") -> None:
    """Raises PermissionDenied (`tenant_suspended`) where the operator has suspended the merchant."""
    if profile.suspended:
        raise PermissionDenied(words, code="tenant_suspended")


def refuse_closed_shop(profile: TenantProfile) -> None:
    """The same, in words for shoppers."""
    refuse_suspended(profile, "This shop takes no payments at the moment.")


def _stop(actor: Actor, at: datetime | None, type_: str, reason: str) -> None:
    with transaction(actor) as db:
        tenant = Tenant.locked(db, actor.tenant_id)
        if (tenant.suspended_at is None) == (at is None):
            return
        tenant.suspended_at = at
        tenant.note(type_, actor, mode=Mode.LIVE, after={"id": tenant.id, "reason": reason})


def too_old(issued: int, valid_after: datetime | None) -> bool:
    """Whether what was issued then (unix milliseconds) is from before a "valid after"."""
    return valid_after is not None and issued <= int(valid_after.timestamp() * 1000)


def _inbound_secret(kind: str) -> str:
    return signing.generate_webhook_secret() if kind == "stripe" else random_token(32)
