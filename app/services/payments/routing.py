"""Routing: which of a merchant's connectors a payment is tried at, in which order, and why.

The order is a pure function (domain/rules/routing.py) of rules and connectors, read by one statement. A token
belongs to a vault: only connectors that can charge it are candidates (docs/adr/0013).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import cast

from sqlalchemy import bindparam, case, select
from sqlalchemy.orm import Session

from app.connectors import base, registry
from app.connectors.configuring import Configurable, Deployable, SharesVault
from app.db import Lookup, reading
from app.domain.actor import Actor, Mode
from app.domain.lifecycles.connectors import Status
from app.domain.rules import routing as rules
from app.kit.breaker import Breaker
from app.models.payments.connector import ConnectorAccount, RoutingRule
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod

_A, _R = ConnectorAccount, RoutingRule

#: Connectors that could not be reached several times in a row; they are tried last for a while.
BREAKER = Breaker()

#: (merchant, mode) → when it was last seen to have no connector of its own, by the monotonic clock.
_ABSENT: dict[tuple[str, str], float] = {}
ABSENT_SECONDS = 5.0
_MAX_ABSENT = 10_000

#: Every connector of a merchant with each of its rules; made once, for the hot path.
_ALL = Lookup(
    select(
        _A.id,
        _A.type,
        _A.name,
        _A.priority,
        _A.status,
        _A.status_reason,
        _R.id.label("rule_id"),
        _R.priority.label("rule_priority"),
        _R.match,
    )
    .outerjoin(_R, _R.connector_id == _A.id)
    .where(
        _A.tenant_id == bindparam("tenant_id"),
        _A.mode == bindparam("mode"),
        _A.status != Status.DELETED,
    )
)


@dataclass(frozen=True, slots=True)
class Pick:
    """A connector to try: its type, and the merchant's account (None: the connector that needs none)."""

    type: str
    connector_id: str | None
    reason: str = "default"
    rule_id: str | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """A connector and its place for a payment, counted from 1; None: it would not be tried, see `reason`.

    Reasons: `rule`, `priority`, `default`; `resting` (it could not be reached just now, and is tried last);
    or why not: `disabled`, `connector_not_installed`, `credentials_refused`, `token_elsewhere`,
    `method_not_supported`.
    """

    connector_id: str | None
    type: str
    name: str
    place: int | None
    reason: str
    rule_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Account:
    """What routing knows of a connector."""

    id: str
    type: str
    name: str
    priority: int
    status: str
    status_reason: str | None


def picks(
    db: Session, intent: PaymentIntent, method: PaymentMethod, country: str | None = None
) -> list[Pick]:
    """The connectors to try a payment at, in order; empty where none can take this method now."""
    accounts, all_rules = _read(db, intent.tenant_id, intent.mode)
    facts = _facts(intent.amount, intent.currency, country, method.brand)
    able = [account for account in accounts if _obstacle(account, method.type, method) is None]
    ordered = _order(facts, all_rules, able)
    default = _default(intent.mode, method.connector, accounts)
    return [*ordered, *([default] if default is not None and _can_charge(default, method) else [])]


def makers(actor: Actor, method_type: str | None, facts: rules.Facts | None = None) -> list[Pick]:
    """The connectors that may make a token of a method (None: of any), in the order of their priority.

    The merchant's own come first, then those that work without an account. With `facts` the merchant's rules
    count too: then the first is the one that such a payment would take.
    """
    with reading() as db:
        accounts, all_rules = _read(db, actor.tenant_id, str(actor.mode))
    able = [account for account in accounts if _obstacle(account, method_type, None) is None]
    ordered = _order(facts, all_rules, able) if facts is not None else _order(rules.Facts(0, ""), [], able)
    takers = registry.for_method(method_type) if method_type is not None else registry.all_connectors()
    return [*ordered, *_defaults(actor, [c.name for c in takers], accounts)]


def has_no_accounts(actor: Actor) -> bool:
    """Whether a merchant has no connector of its own, as was seen at most `ABSENT_SECONDS` ago.

    The hosted page asks each time; in this process whoever makes one is believed at once.
    """
    key, now = (actor.tenant_id, str(actor.mode)), time.monotonic()
    if now - _ABSENT.get(key, -ABSENT_SECONDS) < ABSENT_SECONDS:
        return True
    with reading() as db:
        if _read(db, *key)[0]:
            return False
    if len(_ABSENT) >= _MAX_ABSENT:
        _ABSENT.clear()
    _ABSENT[key] = now
    return True


def look_again(actor: Actor) -> None:
    """A merchant has a new connector."""
    _ABSENT.pop((actor.tenant_id, str(actor.mode)), None)


def holders(tenant_id: str, mode: str) -> list[Pick]:
    """Where money of a merchant may be: each account that has its credentials, also one that takes no new
    payments or was deleted, and each connector that works without an account.

    Accounts that are in use come first, by their priority. A connector without an account is among them
    even where the merchant has made one since: what it took before is still settled there.
    """
    statement = (
        select(_A.type, _A.id)
        .where(_A.tenant_id == tenant_id, _A.mode == mode, _A.config.is_not(None))
        .order_by(case((_A.status == Status.DELETED, 1), else_=0), _A.priority, _A.id)
    )
    with reading() as db:
        accounts = [Pick(type_, id_) for type_, id_ in db.execute(statement)]
    installed = [c.name for c in registry.all_connectors()]
    return accounts + [Pick(type_, None) for type_ in installed if _works_without_account(mode, type_)]


def shares_vault(type_: str) -> bool:
    """Whether each account of a type can charge the tokens of the others."""
    connector = registry.get(type_)
    return registry.has(connector, SharesVault) and cast(SharesVault, connector).shares_vault


def breaker_name(type_: str, connector_id: str | None) -> str:
    """The name under which the breaker counts a connector."""
    return connector_id or type_


def explain(
    actor: Actor,
    *,
    amount: int,
    currency: str,
    country: str | None = None,
    card_brand: str | None = None,
    method_type: str = "card",
    method: PaymentMethod | None = None,
) -> list[Explained]:
    """Which connectors a payment would take, in order, and why the others would not be tried.

    Without a `method` it is asked for one that was not made yet, wherever its token will be.
    """
    with reading() as db:
        accounts, all_rules = _read(db, actor.tenant_id, str(actor.mode))
    kind = method.type if method is not None else method_type
    obstacles = {account.id: _obstacle(account, kind, method) for account in accounts}
    brand = method.brand if method is not None else card_brand
    country = country or (method.country if method is not None else None)
    ordered = _order(
        _facts(amount, currency, country, brand),
        all_rules,
        [account for account in accounts if obstacles[account.id] is None],
    )
    types = [method.connector] if method is not None else [c.name for c in registry.for_method(kind)]
    defaults = [
        pick for pick in _defaults(actor, types, accounts) if method is None or _can_charge(pick, method)
    ]
    by_id = {account.id: account for account in accounts}
    found = [
        Explained(pick.connector_id, pick.type, by_id[pick.connector_id or ""].name, place, *_why(pick))
        for place, pick in enumerate(ordered, 1)
    ]
    found += [
        Explained(None, pick.type, _label(pick.type), place, "default")
        for place, pick in enumerate(defaults, len(found) + 1)
    ]
    return found + [
        Explained(account.id, account.type, account.name, None, reason)
        for account in accounts
        if (reason := obstacles[account.id]) is not None
    ]


def _why(pick: Pick) -> tuple[str, str | None]:
    return ("resting" if _rests(pick) else pick.reason), pick.rule_id


def _read(db: Session, tenant_id: str, mode: str) -> tuple[list[_Account], list[rules.Rule]]:
    accounts: dict[str, _Account] = {}
    found: list[rules.Rule] = []
    for row in _ALL.all(db, {"tenant_id": tenant_id, "mode": mode}):
        accounts[row.id] = _Account(row.id, row.type, row.name, row.priority, row.status, row.status_reason)
        if row.rule_id is not None:
            found.append(rules.Rule(row.rule_id, row.id, row.rule_priority, rules.Match(**row.match)))
    return list(accounts.values()), found


def _facts(amount: int, currency: str, country: str | None, brand: str | None) -> rules.Facts:
    return rules.Facts(amount, currency, country, brand.upper() if brand else None)


def _order(facts: rules.Facts, all_rules: list[rules.Rule], able: list[_Account]) -> list[Pick]:
    """By rules and priorities; those that could not be reached just now come last."""
    types = {account.id: account.type for account in able}
    candidates = [rules.Candidate(account.id, account.priority) for account in able]
    ordered = [
        Pick(types[choice.connector_id], choice.connector_id, str(choice.reason), choice.rule_id)
        for choice in rules.order(facts, all_rules, candidates)
    ]
    return sorted(ordered, key=_rests)


def _rests(pick: Pick) -> bool:
    return BREAKER.is_open(breaker_name(pick.type, pick.connector_id))


def _obstacle(account: _Account, method_type: str | None, method: PaymentMethod | None) -> str | None:
    """Why a connector cannot take a method, or None when it can."""
    connector = registry.get(account.type)
    if connector is None or not registry.has(connector, base.Authorizes):
        return "connector_not_installed"
    if account.status != Status.ACTIVE:
        return account.status_reason or account.status
    if method_type is not None and method_type not in connector.method_types:
        return "method_not_supported"
    here = Pick(account.type, account.id)
    return None if method is None or _can_charge(here, method) else "token_elsewhere"


def _can_charge(pick: Pick, method: PaymentMethod) -> bool:
    """A token is charged by the type that made it; at its own account, where it is bound to one."""
    if method.connector != pick.type:
        return False
    return method.connector_id in (None, pick.connector_id) or shares_vault(pick.type)


def _default(mode: str, type_: str, accounts: list[_Account]) -> Pick | None:
    """The connector that works without an account, as long as the merchant has made none of its type.

    That is one that the deployment has credentials for, or that asks for none: the sandbox, in test mode.
    """
    if any(account.type == type_ for account in accounts) or not _works_without_account(mode, type_):
        return None
    return Pick(type_, None)


def _works_without_account(mode: str, type_: str) -> bool:
    connector = registry.get(type_)
    if connector is None:
        return False
    if registry.has(connector, Deployable):
        return cast(Deployable, connector).is_deployed(mode)
    fields = cast(Configurable, connector).credentials if registry.has(connector, Configurable) else ()
    optional = mode == Mode.TEST and not any(field.required for field in fields)
    return optional or not fields


def _defaults(actor: Actor, types: list[str], accounts: list[_Account]) -> list[Pick]:
    """Those that the deployment has an account at come before the sandbox, which asks for none."""
    found = [pick for type_ in types if (pick := _default(str(actor.mode), type_, accounts)) is not None]
    return sorted(found, key=lambda pick: not registry.has(registry.get(pick.type), Deployable))


def _label(type_: str) -> str:
    connector = registry.get(type_)
    return connector.label if connector is not None else type_
