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
from app.web.limit_fields import VelocityLimit
from app.web.schemas import Body, Integer, View

#: Null is a value of these: no limit, or what is built in.
_NULLABLE = frozenset({"max_authorization_amount", "max_confirms_per_session", "fraud", "velocity"})


class RuleChoice(Body):
    """A fraud rule otherwise than it is built in; what is left out stays so."""

    weight: Integer | None = Field(None, ge=0, le=100)
    threshold: Integer | None = Field(None, ge=1)
    enabled: bool = True


class FraudChoices(Body):
    """Who scores payments, from where a score is challenged or denied, and what no answer means."""

    provider: Literal["builtin", "http"] | None = None
    url: str | None = Field(None, max_length=2048)
    challenge_from: Integer | None = Field(None, ge=1, le=101)
    deny_from: Integer | None = Field(None, ge=1, le=101)
    on_failure: Literal["allow", "challenge", "deny"] | None = None
    rules: dict[str, RuleChoice] | None = None


class SettingsView(View):
    """All settings; amounts in minor units, durations in seconds. An empty `currencies` allows all.

    `fraud` and `velocity` are null while the built-in rules and limits hold (`GET /fraud/rules` shows them).
    """

    allowed_methods: list[str]
    default_capture_mode: str
    max_authorization_amount: int | None
    max_confirms_per_session: int | None
    three_ds_policy: str
    fraud: FraudChoices | None
    velocity: list[VelocityLimit] | None
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
    """What changes; what is left out stays. `fraud` and `velocity` are set whole.

    Null lifts a limit, and brings `fraud` and `velocity` back to what is built in.
    """

    allowed_methods: list[str] | None = Field(None, max_length=40)
    default_capture_mode: Literal["auto", "manual"] | None = None
    max_authorization_amount: Integer | None = None
    max_confirms_per_session: Integer | None = None
    three_ds_policy: Literal["automatic", "always", "never"] | None = None
    fraud: FraudChoices | None = None
    velocity: list[VelocityLimit] | None = Field(None, max_length=20)
    dispute_retention_days: Integer | None = None
    gl_accounts: dict[str, str] | None = None
    max_payment_attempts: Integer | None = None
    hold_ttl_seconds: Integer | None = None
    session_ttl_seconds: Integer | None = None
    currencies: list[str] | None = Field(None, max_length=300)
    version: Integer | None = None

    def changes(self) -> dict[str, Any]:
        """What was sent; a null counts where it means something."""
        sent = self.model_dump(exclude_unset=True, exclude={"version"})
        return {n: v for n, v in sent.items() if v is not None or n in _NULLABLE}


@surface.get("/settings", "PY-080", returns=SettingsView, permission="settings:read")
def get(actor: Actor) -> Answer:
    """Read the payment settings."""
    return _answer(*settings.read(actor))


@surface.patch("/settings", "PY-081", body=SettingsChange, returns=SettingsView, permission="settings:write")
def update(actor: Actor, body: SettingsChange) -> Answer:
    """Change payment settings, with a key of test mode for that alone.

    `If-Match` or `version` guards against overwriting somebody else's change.
    """
    return _answer(*settings.change(actor, body.changes(), expected=versions.expected_version(body.version)))


def _answer(row: CheckoutSettings, version: int) -> Answer:
    return Answer(SettingsView.of(row, version), versions.etag(version))
