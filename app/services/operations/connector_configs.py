"""Configurations of connectors: checked as a connector declares, encrypted at rest, masked to be shown.

A type that no connector here is of has no declaration: its configuration is kept as it came, and only what
is surely no secret is shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import structlog
from sqlalchemy import ColumnElement, select

from app.connectors import registry
from app.connectors.configuring import Configurable, CredentialField
from app.db import reading
from app.domain.errors import InvalidRequest
from app.kit import clock
from app.kit.crypto import DecryptionError
from app.models.payments.connector import ConnectorAccount
from app.services.operations import secrets_at_rest

log = structlog.get_logger("till.connector_configs")

#: Shown of types that declare nothing; everything else of them is taken for a secret.
_NO_SECRETS = frozenset(
    {"account_id", "company_account", "country", "currency", "environment", "merchant_account"}
    | {"merchant_id", "region", "site_id", "store_id", "terminal_id"}
)
_MASK = "****"
#: Of a secret that is at least so long the last four characters are shown.
_LONG = 12


def declared(type_: str) -> tuple[CredentialField, ...] | None:
    """The fields of a connector type; None where no connector of the type is installed."""
    connector = registry.get(type_)
    if connector is None:
        return None
    return connector.credentials if isinstance(connector, Configurable) else ()


def merge(type_: str, stored: Mapping[str, str], given: Mapping[str, str | None]) -> dict[str, str]:
    """The stored configuration with what is given over it; None removes a field.

    A secret that comes back as it was shown, masked, stays as it is.

    Raises:
        InvalidRequest: what comes out is not a configuration of this type; never repeats a value.
    """
    merged = dict(stored)
    for name, value in given.items():
        if value is None:
            merged.pop(name, None)
        elif not (name in stored and is_secret(type_, name) and value == _masked(stored[name])):
            merged[name] = value.strip()
    _check(type_, merged)
    return merged


def encrypt(config: Mapping[str, str], tenant_id: str, connector_id: str) -> str:
    """The configuration as its column keeps it."""
    text = json.dumps(config, separators=(",", ":"), sort_keys=True)
    return secrets_at_rest.encrypt(text, tenant_id, connector_id, "config")


def credentials(account: ConnectorAccount) -> dict[str, str]:
    """The configuration in plaintext, for the connector alone.

    Raises:
        DecryptionError: it was encrypted under a key that is not there any more, or was destroyed.
    """
    return _decrypt(account, account.config)


def readable(account: ConnectorAccount) -> dict[str, str]:
    """See `credentials`; nothing of a configuration whose key is lost, so that a new one can be given."""
    return _readable(account, account.config)


def masked(account: ConnectorAccount) -> dict[str, str]:
    """The configuration as it may be shown."""
    return {
        name: _masked(value) if is_secret(account.type, name) else value
        for name, value in readable(account).items()
    }


def webhook_secrets(connector_id: str | None) -> list[str]:
    """Secrets under which the gateway may sign what it sends for this account, a rotated one among them."""
    return _signing(ConnectorAccount.id == connector_id) if connector_id is not None else []


def all_webhook_secrets(tenant_id: str, type_: str) -> list[str]:
    """Those of all of a merchant's accounts of a type, in both modes."""
    return _signing(ConnectorAccount.tenant_id == tenant_id, ConnectorAccount.type == type_)


def _signing(*which: ColumnElement[bool]) -> list[str]:
    kept = select(ConnectorAccount).where(ConnectorAccount.config.is_not(None), *which)
    with reading() as db:
        accounts = list(db.scalars(kept))
    found = [secret for account in accounts for secret in _signing_of(account)]
    return list(dict.fromkeys(found))


def _signing_of(account: ConnectorAccount) -> list[str]:
    configs = [readable(account)]
    if account.previous_until is not None and account.previous_until > clock.now():
        configs.append(_readable(account, account.previous_config))
    names = [field.name for field in declared(account.type) or () if field.signs_webhooks]
    return [config[name] for config in configs for name in names if config.get(name)]


def is_secret(type_: str, name: str) -> bool:
    """Whether the value of a field is never shown."""
    fields = declared(type_)
    if fields is None:
        return name not in _NO_SECRETS
    return next((field.secret for field in fields if field.name == name), True)


def _readable(account: ConnectorAccount, text: str | None) -> dict[str, str]:
    try:
        return _decrypt(account, text)
    except DecryptionError:
        log.exception("credentials_unreadable", entity_id=account.id)
        return {}


def _decrypt(account: ConnectorAccount, text: str | None) -> dict[str, str]:
    if text is None:
        raise DecryptionError("destroyed with its connector")
    plaintext = secrets_at_rest.decrypt(text, account.tenant_id, account.id, "config")
    found: dict[str, str] = json.loads(plaintext)
    return found


def _masked(value: str) -> str:
    return _MASK + (value[-4:] if len(value) >= _LONG else "")


def _check(type_: str, config: Mapping[str, str]) -> None:
    fields = declared(type_)
    if fields is None:
        return
    known = {field.name: field for field in fields}
    for name in config:
        if name not in known:
            raise InvalidRequest(
                f"{type_} has no setting {name}; it has {', '.join(known) or 'none'}",
                code="invalid_config",
                field=f"config.{name}",
            )
    for field in fields:
        _check_value(field, config.get(field.name, ""))


def _check_value(field: CredentialField, value: str) -> None:
    place = f"config.{field.name}"
    if not value:
        if field.required:
            raise InvalidRequest(f"{field.label} is required", code="invalid_config", field=place)
        return
    if field.choices and value not in field.choices:
        choices = ", ".join(field.choices)
        raise InvalidRequest(f"{field.label} is one of {choices}", code="invalid_config", field=place)
    if field.pattern and re.fullmatch(field.pattern, value) is None:
        form = f"{field.label} has another form{f': {field.hint}' if field.hint else ''}"
        raise InvalidRequest(form, code="invalid_config", field=place)
