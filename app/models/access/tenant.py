"""A merchant (tenant): its name, settings and inbound secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, Session, mapped_column, object_session

from app.domain.actor import Actor, TenantProfile
from app.domain.errors import VersionConflict
from app.models.base import Base, Timestamped
from app.models.events.journal import record
from app.models.types import CurrencyCode, PrimaryId


class Tenant(Timestamped, Base):
    """A merchant. `settings` holds checkout, payments and branding choices (services read them typed)."""

    __tablename__ = "tenants"

    id: Mapped[PrimaryId]
    public_id: Mapped[str] = mapped_column(String(36), unique=True)
    slug: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str]
    default_currency: Mapped[CurrencyCode]
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: What keys of test mode have chosen otherwise, for test mode alone (docs/adr/0040).
    test_settings: Mapped[dict[str, Any] | None]
    settings_version: Mapped[int] = mapped_column(Integer, default=1)
    inbound_secrets: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: Sign-ins and tokens from before are over.
    tokens_valid_after: Mapped[datetime | None]
    #: Since when nobody is let in and no new payment begins; None: it is not suspended.
    suspended_at: Mapped[datetime | None]

    @classmethod
    def locked(cls, db: Session, tenant_id: str, *, expected: int | None = None) -> Tenant:
        """The merchant as it is now, until the transaction ends nobody else's to change.

        What this transaction changed of it before is written first.

        Raises:
            VersionConflict: the settings were changed since `expected` was read.
        """
        db.flush()
        tenant = db.get_one(cls, tenant_id, with_for_update=True, populate_existing=True)
        if expected is not None and expected != tenant.settings_version:
            raise VersionConflict
        return tenant

    def note(
        self,
        type_: str,
        actor: Actor,
        *,
        after: dict[str, Any],
        before: dict[str, Any] | None = None,
        mode: str = "",
        entity: str = "tenant",
    ) -> None:
        """Journal a change of it, in the caller's mode unless told otherwise."""
        session = object_session(self)
        assert session is not None, "a merchant changes inside transaction()"
        record(
            session,
            type_,
            tenant_id=self.id,
            mode=mode or str(actor.mode),
            entity=entity,
            entity_id=self.id,
            cause=str(actor.kind),
            before=before,
            after=after,
        )

    def profile(self, mode: str) -> TenantProfile:
        """What an actor in that mode carries of its merchant."""
        return TenantProfile(
            id=self.id,
            slug=self.slug,
            name=self.name,
            default_currency=self.default_currency,
            settings=self.settings,
            public_id=self.public_id,
            test_settings=self.test_settings or {},
            suspended=self.suspended_at is not None,
        ).in_mode(mode)
