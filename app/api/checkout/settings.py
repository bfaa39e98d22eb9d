"""CK-067 to CK-071: what a merchant chooses for its checkouts, what they can do, and their limits (OP-43)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from pydantic import ConfigDict, Field

from app.api.checkout.details import Address
from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.services.checkout import capabilities
from app.services.operations import provider_settings, settings
from app.services.operations.settings import CheckoutSettings
from app.services.risk import policy
from app.web import versions
from app.web.endpoint import Answer
from app.web.limit_fields import VelocityLimit
from app.web.schemas import Body, Integer, View

#: Where a setting stands in a body, if not under its own name.
_PLACES = {"limits_currency": "currency"} | {
    name: f"hosted_checkout.{name}"
    for name in (
        "brand_accent",
        "support_email",
        "terms_url",
        "default_language",
        "redirect_hosts",
        "embed_origins",
        "fresh_copies",
        "link_ttl_seconds",
        "pickup_locations",
    )
}
#: Settings whose empty text reads null.
_TAKEN_AWAY = ("brand_accent", "support_email", "terms_url", "default_language")


class PickupPlace(Body):
    """A place where goods can be collected."""

    location_id: str = Field(min_length=1, max_length=64)
    name: str = Field(min_length=1, max_length=200)
    address: Address | None = None


class PickupPlaceView(View):
    """A place where goods can be collected."""

    location_id: str
    name: str
    address: dict[str, Any] | None = None


class HostedCheckout(View):
    """The hosted page: its colour, contact, terms and language, null where none is chosen.

    `redirect_hosts` are where shoppers may be sent in live mode (empty: anywhere), `fresh_copies` says if
    a page that is over offers a new session, `link_ttl_seconds` how long the session of a payment link lives,
    `pickup_locations` where a page that asks for the delivery offers to collect the goods, `embed_origins` on
    whose pages the checkout may be framed (empty: nobody's).
    """

    brand_accent: str | None
    support_email: str | None
    terms_url: str | None
    default_language: str | None
    redirect_hosts: list[str]
    embed_origins: list[str]
    fresh_copies: bool
    link_ttl_seconds: int
    pickup_locations: list[PickupPlaceView]


class ProviderView(View):
    """Whose system is asked: the built-in one, or the merchant's own at `url`."""

    kind: Literal["builtin", "http"]
    url: str | None = None


class SettingsView(View):
    """All checkout settings; durations in seconds.

    `allowed_apms` lists methods beside cards by country; a country that is not listed takes all of them.
    `provider_secrets` are the keys that were made for systems newly chosen, and are shown this once.
    """

    default_capture_mode: str
    max_payment_attempts: int
    hold_ttl_seconds: int
    session_ttl_seconds: int
    allowed_apms: dict[str, list[str]]
    hosted_checkout: HostedCheckout
    providers: dict[str, ProviderView]
    provider_secrets: dict[str, str] | None
    version: int

    @classmethod
    def of(
        cls, row: CheckoutSettings, version: int, providers: dict[str, Any], secrets: dict[str, str]
    ) -> SettingsView:
        """The view of the settings at a version."""
        own = set(cls.model_fields) - {"hosted_checkout", "providers", "provider_secrets", "version"}
        page = {name: getattr(row, name) for name in HostedCheckout.model_fields}
        for name in _TAKEN_AWAY:
            page[name] = page[name] or None
        for name in ("redirect_hosts", "embed_origins"):
            page[name] = list(page[name])
        page["pickup_locations"] = [PickupPlaceView(**place) for place in row.pickup_locations]
        return cls(
            **{name: getattr(row, name) for name in own},
            hosted_checkout=HostedCheckout(**page),
            providers={name: ProviderView(**choice) for name, choice in providers.items()},
            provider_secrets=secrets or None,
            version=version,
        )


class HostedCheckoutChange(Body):
    """What changes of the hosted page; null takes a colour, an address, terms or a language away."""

    brand_accent: str | None = Field(None, max_length=7)
    support_email: str | None = Field(None, max_length=254)
    terms_url: str | None = Field(None, max_length=2048)
    default_language: str | None = Field(None, max_length=8)
    redirect_hosts: list[str] | None = Field(None, max_length=50)
    embed_origins: list[str] | None = Field(None, max_length=50)
    fresh_copies: bool | None = None
    link_ttl_seconds: Integer | None = None
    pickup_locations: list[PickupPlace] | None = Field(None, max_length=20)

    def changes(self) -> dict[str, Any]:
        """What was sent, as it is stored."""
        sent = self.model_dump(exclude_unset=True)
        for name in _TAKEN_AWAY:
            if name in sent:
                sent[name] = sent[name] or ""
        return {name: value for name, value in sent.items() if value is not None}


class ProviderChoice(Body):
    """The built-in system, or the merchant's own at `url` (docs/providers.md)."""

    kind: Literal["builtin", "http"]
    url: str | None = Field(None, max_length=500)


class SettingsChange(Body):
    """What changes; what is left out stays. `allowed_apms` is set whole, `providers` by name."""

    default_capture_mode: Literal["auto", "manual"] | None = None
    max_payment_attempts: Integer | None = None
    hold_ttl_seconds: Integer | None = None
    session_ttl_seconds: Integer | None = None
    allowed_apms: dict[str, list[str]] | None = Field(None, max_length=300)
    hosted_checkout: HostedCheckoutChange | None = None
    providers: dict[str, ProviderChoice] | None = Field(None, max_length=20)
    version: Integer | None = None

    def chosen(self) -> dict[str, Any]:
        """The systems that are chosen."""
        return {name: choice.model_dump(exclude_none=True) for name, choice in (self.providers or {}).items()}

    def changes(self) -> dict[str, Any]:
        """What was sent beside them; a null is no change."""
        sent = self.model_dump(exclude_none=True, exclude={"version", "hosted_checkout", "providers"})
        return sent | (self.hosted_checkout.changes() if self.hosted_checkout else {})


class CapabilitiesView(View):
    """What works for this merchant here and now, in the caller's mode."""

    model_config = ConfigDict(serialize_by_alias=True)

    three_ds: bool = Field(alias="3ds")
    hosted_pages: bool
    split_payments: bool
    installments: bool


class TxLimitsView(View):
    """Limits of one transaction in minor units (null: none) and of the tries in a window.

    Both amounts hold in `currency` alone where one is named, and else in every currency. `velocity` are the
    limits that are in force in the caller's mode; without a choice of the merchant's own, the built-in ones.
    """

    max_amount: int | None
    min_amount: int | None
    currency: str | None
    velocity: list[VelocityLimit]
    version: int


class TxLimitsChange(Body):
    """What changes; what is left out stays.

    Null lifts a limit; `velocity` is set whole, and null brings back what is built in.
    """

    max_amount: Integer | None = None
    min_amount: Integer | None = None
    currency: str | None = Field(None, pattern="^[A-Z]{3}$")
    velocity: list[VelocityLimit] | None = Field(None, max_length=20)
    version: Integer | None = None

    def changes(self) -> dict[str, Any]:
        """What was sent, as it is stored."""
        sent = self.model_dump(exclude_unset=True, exclude={"version"})
        if "currency" in sent:
            sent["limits_currency"] = sent.pop("currency")
        return sent


@surface.get("/settings", "CK-067", returns=SettingsView, permission="settings:read")
def get(actor: Actor) -> Answer:
    """Read the checkout settings."""
    return _answer(actor, {})


@surface.patch("/settings", "CK-068", body=SettingsChange, returns=SettingsView, permission="settings:write")
def update(actor: Actor, body: SettingsChange) -> Answer:
    """Change checkout settings, with a key of test mode for that alone.

    `If-Match` or `version` guards against overwriting somebody else's change.
    """
    return _answer(actor, _change(actor, body.changes(), body.version, body.chosen()))


@surface.get("/capabilities", "CK-069", returns=CapabilitiesView, permission="checkout:read")
def read_capabilities(actor: Actor) -> CapabilitiesView:
    """See which features work here."""
    found = asdict(capabilities.of(actor))
    return CapabilitiesView.model_validate({"3ds": found.pop("three_ds"), **found})


@surface.get("/tx-limits", "CK-070", returns=TxLimitsView, permission="settings:read")
def get_tx_limits(actor: Actor) -> Answer:
    """Read the limits of transactions and the velocity rules."""
    return _limits(actor, *settings.read(actor))


@surface.patch("/tx-limits", "CK-071", body=TxLimitsChange, returns=TxLimitsView, permission="settings:write")
def update_tx_limits(actor: Actor, body: TxLimitsChange) -> Answer:
    """Change limits and velocity rules; guarded as the settings, with which they share a version."""
    _change(actor, body.changes(), body.version, {})
    return _limits(actor, *settings.read(actor))


def _change(
    actor: Actor, changes: dict[str, Any], version: int | None, chosen: dict[str, Any]
) -> dict[str, str]:
    """Change what was sent; the secrets that were made."""
    expected = versions.expected_version(version)
    try:
        return provider_settings.choose_with(actor, chosen, changes, expected=expected)
    except InvalidRequest as refused:
        refused.field = _PLACES.get(refused.field or "", refused.field)
        raise


def _answer(actor: Actor, secrets: dict[str, str]) -> Answer:
    row, version = settings.read(actor)
    view = SettingsView.of(row, version, provider_settings.read(actor), secrets)
    kept = view.model_copy(update={"provider_secrets": None})
    return Answer(view, versions.etag(version), kept=kept)


def _limits(actor: Actor, row: CheckoutSettings, version: int) -> Answer:
    view = TxLimitsView(
        max_amount=row.max_amount,
        min_amount=row.min_amount,
        currency=row.limits_currency,
        velocity=[
            VelocityLimit(
                scope=limit.scope.value,
                max_count=limit.max_count,
                max_amount=limit.max_amount,
                window_seconds=limit.window_seconds,
            )
            for limit in policy.velocity_limits(row.velocity, str(actor.mode))
        ],
        version=version,
    )
    return Answer(view, versions.etag(version))
