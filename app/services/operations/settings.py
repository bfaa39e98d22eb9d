"""A merchant's choices, typed, with the defaults of the contract (OP-43); how they are read and changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from app import settings as environment
from app.connectors import registry
from app.db import reading, transaction
from app.domain import countries, money
from app.domain.actor import Actor, Mode, TenantProfile
from app.domain.errors import InvalidRequest
from app.domain.rules import page_choices, risk_choices
from app.domain.rules.amounts import AmountLimits
from app.models.access.tenant import Tenant

CAPTURE_MODES = ("auto", "manual")
THREE_DS_POLICIES = ("automatic", "always", "never")
#: What a general ledger account can be mapped to (OP-82): kinds of the ledger's transactions, and its
#: accounts without their connector.
GL_TYPES = frozenset(
    [
        "capture",
        "refund",
        "refund_return",
        "stored_value",
        "stored_value_return",
        "dispute_opened",
        "dispute_won",
        "dispute_lost",
        "dispute_fee",
        "settlement",
        "write_off",
        "adjustment",
        "payout",
        "payout_paid",
        "payout_failed",
        "payout_returned",
        "receivable",
        "balance",
        "fees",
        "payouts",
        "disputes",
        "bank",
        "merchant_balance",
        "store_credit",
        "gift_cards",
        "write_offs",
    ]
)


@dataclass(frozen=True, slots=True)
class CheckoutSettings:
    """Checkout, payment and page choices of one merchant; durations in seconds, amounts in minor units.

    What limits an amount is told by `amounts` (PY-080, CK-070). `fraud` and `velocity` are as they were
    chosen, None where the defaults hold: services/risk/policy.py reads them.
    """

    default_capture_mode: str = "auto"
    max_payment_attempts: int = 5
    hold_ttl_seconds: int = 900
    session_ttl_seconds: int = 3600
    link_ttl_seconds: int = 1800
    max_amount: int | None = None
    max_authorization_amount: int | None = None
    max_confirms_per_session: int | None = None
    min_amount: int | None = None
    limits_currency: str | None = None
    currencies: tuple[str, ...] = ()
    allowed_methods: tuple[str, ...] = ("card", "paypal", "ideal", "bancontact", "klarna", "promptpay")
    three_ds_policy: str = "automatic"
    fraud: Mapping[str, Any] | None = None
    velocity: Sequence[Mapping[str, Any]] | None = None
    dispute_retention_days: int = 540
    gl_accounts: Mapping[str, str] = field(default_factory=dict)
    redirect_hosts: tuple[str, ...] = ()
    embed_origins: tuple[str, ...] = ()
    fresh_copies: bool = True
    require_second_factor: bool = False
    pickup_locations: tuple[Mapping[str, Any], ...] = ()
    brand_accent: str = ""
    support_email: str = ""
    terms_url: str = ""
    default_language: str = ""
    allowed_apms: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def amounts(self) -> AmountLimits:
        """How much may be paid at once."""
        return AmountLimits(
            self.max_authorization_amount, self.max_amount, self.min_amount, self.limits_currency
        )


_AMOUNTS = ("min_amount", "max_amount")
_TUPLES = {"currencies", "allowed_methods", "redirect_hosts", "embed_origins", "pickup_locations"}
_NAMES = {f.name for f in fields(CheckoutSettings)}


def checkout_settings(profile: TenantProfile) -> CheckoutSettings:
    """The merchant's settings; what is not set has its default."""
    given: dict[str, Any] = {
        name: tuple(value) if name in _TUPLES else value
        for name, value in profile.settings.items()
        if name in _NAMES
    }
    return CheckoutSettings(**given)


def read(actor: Actor) -> tuple[CheckoutSettings, int]:
    """The settings that the caller would change, and their version: see `store`."""
    with reading() as db:
        tenant = db.get_one(Tenant, actor.tenant_id)
        return checkout_settings(tenant.profile(reach(actor))), tenant.settings_version


def reach(actor: Actor) -> Mode:
    """What holds in live mode, or, to keys of test mode, what holds in test mode."""
    return Mode.TEST if actor.is_test_key else Mode.LIVE


def store(tenant: Tenant, actor: Actor, values: Mapping[str, Any]) -> None:
    """Write settings onto a locked merchant: for both modes, by a key of test mode for that alone.

    What is written for both takes the place of what held in test mode alone (docs/adr/0040).
    """
    alone = tenant.test_settings or {}
    if actor.is_test_key:
        tenant.test_settings = {**alone, **values}
    else:
        tenant.settings = {**tenant.settings, **values}
        tenant.test_settings = {name: alone[name] for name in alone.keys() - values.keys()} or None
    tenant.settings_version += 1


def change(
    actor: Actor, changes: Mapping[str, Any], *, expected: int | None = None
) -> tuple[CheckoutSettings, int]:
    """Change what is given, see `store`; the rest stays. What is equal already is no change.

    Raises:
        InvalidRequest: no such setting, or not a value that it takes.
        VersionConflict: they were changed since `expected` was read.
    """
    for name, value in changes.items():
        rule = _RULES.get(name)
        problem = "there is no such setting" if rule is None else rule(value)
        if problem:
            raise InvalidRequest(f"{name}: {problem}", code="invalid_setting", field=name)
    risk_choices.check(changes)
    with transaction(actor) as db:
        tenant = Tenant.locked(db, actor.tenant_id, expected=expected)
        moved = _moved(tenant, actor, _amounts_together(tenant, actor, changes))
        if moved:
            before = {name: moved[name][0] for name in moved}
            after = {name: moved[name][1] for name in moved}
            store(tenant, actor, after)
            tenant.note("settings.updated", actor, entity="settings", before=before, after=after)
        return checkout_settings(tenant.profile(reach(actor))), tenant.settings_version


def _moved(tenant: Tenant, actor: Actor, changes: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Name → before and after, of what is other than it stands in a mode that the change reaches."""
    stand = [checkout_settings(tenant.profile(mode)) for mode in (reach(actor), Mode.TEST)]
    moved = {}
    for name, value in changes.items():
        others = [old for each in stand if (old := _plain(getattr(each, name))) != value]
        if others:
            moved[name] = (others[0], value)
    return moved


def method_types() -> list[str]:
    """What the connectors here can take, cards first."""
    known = {method for connector in registry.installed() for method in connector.method_types}
    return sorted(known, key=lambda method: (method != "card", method))


def _amounts_together(tenant: Tenant, actor: Actor, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The changes, where the smallest amount is not above the largest after them, in either mode.

    What hinders that in test mode alone ends with a change for both modes: what a key of test mode has chosen
    refuses nobody else theirs (docs/adr/0040).

    Raises:
        InvalidRequest: `invalid_setting`.
    """
    given = [name for name in _AMOUNTS if name in changes]
    own, test = (checkout_settings(tenant.profile(mode)) for mode in (reach(actor), Mode.TEST))
    if given and _crossed(own, changes):
        raise InvalidRequest("min_amount is above max_amount", code="invalid_setting", field=given[0])
    if given and _crossed(test, changes):
        return {**{name: getattr(own, name) for name in _AMOUNTS}, **changes}
    return changes


def _crossed(old: CheckoutSettings, changes: Mapping[str, Any]) -> bool:
    low, high = (changes.get(name, getattr(old, name)) for name in _AMOUNTS)
    return low is not None and high is not None and low > high


def _plain(value: Any) -> Any:
    """A setting as JSON has it."""
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _one_of(words: tuple[str, ...]) -> Callable[[Any], str | None]:
    return lambda value: None if value in words else f"must be one of {', '.join(words)}"


def _between(low: int, high: int) -> Callable[[Any], str | None]:
    return lambda value: None if low <= value <= high else f"must be from {low} to {high}"


def _methods(value: list[str]) -> str | None:
    known = {method for connector in registry.all_connectors() for method in connector.method_types}
    if not value:
        return "allow at least one method"
    unknown = sorted(set(value) - known)
    return f"no connector here takes {unknown[0]}" if unknown else _repeated(value)


def _currencies(value: list[str]) -> str | None:
    unknown = sorted(code for code in value if not money.is_currency(code))
    return f"{unknown[0]} is not a currency" if unknown else _repeated(value)


def _limits_currency(value: str | None) -> str | None:
    return None if value is None or money.is_currency(value) else f"{value} is not a currency"


def _apms(value: Mapping[str, list[str]]) -> str | None:
    """Cards are taken everywhere, so they are not listed."""
    known = {m for connector in registry.installed() for m in connector.method_types} - {"card"}
    for country, listed in value.items():
        if not countries.is_country(country):
            return f"{country} is not a country (ISO 3166, two letters)"
        unknown = sorted(set(listed) - known)
        if unknown:
            return f"{country}: {unknown[0]} is no method besides cards that a connector here takes"
        if len(set(listed)) != len(listed):
            return f"{country} names something twice"
    return None


def _repeated(value: list[str]) -> str | None:
    return None if len(set(value)) == len(value) else "names something twice"


def _limit(value: int | None) -> str | None:
    return None if value is None else _between(1, money.MAX_AMOUNT)(value)


def _fraud(value: Mapping[str, Any] | None) -> str | None:
    """What of it depends on this deployment; the rest is risk_choices' to say."""
    plain = str((value or {}).get("url") or "").lower().startswith("http:")
    return "url: an https address" if plain and not environment.current().loopback_webhooks_allowed else None


def _gl_accounts(value: Mapping[str, str]) -> str | None:
    unknown = sorted(set(value) - GL_TYPES)
    if unknown:
        return f"{unknown[0]} is not one of {', '.join(sorted(GL_TYPES))}"
    wrong = sorted(name for name, code in value.items() if not (0 < len(code) <= 32 and code.isprintable()))
    return f"{wrong[0]}: an account code has 1 to 32 printable characters" if wrong else None


#: What may be changed, and what is wrong with a value of it, or None.
_RULES: dict[str, Callable[[Any], str | None]] = {
    "allowed_methods": _methods,
    "default_capture_mode": _one_of(CAPTURE_MODES),
    "max_authorization_amount": _limit,
    "max_confirms_per_session": _limit,
    "fraud": _fraud,
    "velocity": lambda _: None,  # all of it is risk_choices' to say
    "three_ds_policy": _one_of(THREE_DS_POLICIES),
    "dispute_retention_days": _between(30, 3650),
    "gl_accounts": _gl_accounts,
    "max_payment_attempts": _between(1, 20),
    "hold_ttl_seconds": _between(60, 86_400),
    "session_ttl_seconds": _between(300, 86_400),
    "currencies": _currencies,
    "max_amount": _limit,
    "min_amount": _limit,
    "limits_currency": _limits_currency,
    "allowed_apms": _apms,
    "link_ttl_seconds": _between(300, 86_400),
    "redirect_hosts": page_choices.hosts,
    "embed_origins": page_choices.origins,
    "fresh_copies": lambda _: None,
    "require_second_factor": lambda _: None,
    "pickup_locations": page_choices.places,
    "brand_accent": page_choices.accent,
    "support_email": page_choices.email,
    "terms_url": page_choices.terms,
    "default_language": page_choices.language,
}
