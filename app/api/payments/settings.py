"""PY-080, PY-081: the merchant's payment settings (OP-43)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.services.operations import settings
from app.services.operations.settings import CheckoutSettings
from app.web import versions
from app.web.endpoint import Answer
from app.web.schemas import Body, Integer, View


class SettingsView(View):
    """All settings; amounts in minor units, durations in seconds. An empty `currencies` allows all."""

    allowed_methods: list[str]
    default_capture_mode: str
    max_authorization_amount: int | None
    three_ds_policy: str
    dispute_retention_days: int
    gl_accounts: dict[str, str]
    max_payment_attempts: int
    hold_ttl_seconds: int
    session_ttl_seconds: int
    currencies: list[str]
    version: int

    @classmethod
    def of(cls, row: CheckoutSettings, version: int) -> SettingsView:
        """The view of the settings at a version."""
        names = set(cls.model_fields) - {"version"}
        return cls(**{name: getattr(row, name) for name in names}, version=version)


class SettingsChange(Body):
    """What changes; what is left out stays. Null lifts the limit of `max_authorization_amount`."""

    allowed_methods: list[str] | None = Field(None, max_length=40)
    default_capture_mode: Literal["auto", "manual"] | None = None
    max_authorization_amount: Integer | None = None
    three_ds_policy: Literal["automatic", "always", "never"] | None = None
    dispute_retention_days: Integer | None = None
    gl_accounts: dict[str, str] | None = None
    max_payment_attempts: Integer | None = None
    hold_ttl_seconds: Integer | None = None
    session_ttl_seconds: Integer | None = None
    currencies: list[str] | None = Field(None, max_length=300)
    version: Integer | None = None

    def changes(self) -> dict[str, Any]:
        """What was sent; a null counts for the limit alone."""
        sent = self.model_dump(exclude_unset=True, exclude={"version"})
        return {n: v for n, v in sent.items() if v is not None or n == "max_authorization_amount"}


@surface.get("/settings", "PY-080", returns=SettingsView, permission="settings:read")
def get(actor: Actor) -> Answer:
    """Read the payment settings."""
    return _answer(*settings.read(actor))


@surface.patch("/settings", "PY-081", body=SettingsChange, returns=SettingsView, permission="settings:write")
def update(actor: Actor, body: SettingsChange) -> Answer:
    """Change payment settings; `If-Match` or `version` guards against overwriting somebody else's change."""
    return _answer(*settings.change(actor, body.changes(), expected=versions.expected_version(body.version)))


def _answer(row: CheckoutSettings, version: int) -> Answer:
    return Answer(SettingsView.of(row, version), versions.etag(version))
