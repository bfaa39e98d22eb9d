"""Which of a merchant's own systems its checkout asks, and the secrets that it shares with each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app import settings
from app.db import reading, transaction
from app.domain.actor import Actor, Mode
from app.domain.errors import InvalidRequest
from app.domain.rules import providers
from app.kit.signing import generate_webhook_secret
from app.models.access.tenant import Tenant
from app.services.operations import inbound_secrets, secrets_at_rest
from app.services.operations import settings as tenant_settings


def check(actor: Actor, chosen: Any) -> None:
    """Whether these systems may be chosen; see `providers.check`.

    Raises:
        InvalidRequest: `invalid_setting`.
    """
    current = settings.current()
    secure = actor.mode == Mode.LIVE or current.production
    providers.check(chosen, secure=secure, allow_loopback=current.loopback_webhooks_allowed)


def read(actor: Actor) -> dict[str, Any]:
    """What is chosen for each system."""
    with reading() as db:
        profile = db.get_one(Tenant, actor.tenant_id).profile(tenant_settings.reach(actor))
    chosen: dict[str, Any] = profile.settings.get("providers", {})
    return {name: chosen.get(name, {"kind": providers.BUILTIN}) for name in providers.NAMES}


def choose(actor: Actor, chosen: Mapping[str, Any], *, expected: int | None = None) -> dict[str, str]:
    """Choose some systems, see `settings.store`; what is not named stays. What is held at one is ended there.

    A system that a key of test mode chooses is asked with a secret of its own: that key's holder reads it.

    Returns the secrets that were made for systems that had none; they are shown this once.

    Raises:
        InvalidRequest: `invalid_setting`.
        VersionConflict: the settings were changed since `expected` was read.
    """
    check(actor, chosen)
    with transaction(actor) as db:
        tenant = Tenant.locked(db, actor.tenant_id, expected=expected)
        before = tenant.profile(tenant_settings.reach(actor)).settings.get("providers", {})
        after = {**before, **{name: dict(choice) for name, choice in chosen.items()}}
        made = {
            name: _new_secret(tenant, inbound_secrets.of_provider(name, alone=actor.is_test_key))
            for name, choice in chosen.items()
            if choice["kind"] == providers.HTTP
            and inbound_secrets.of_provider(name, alone=actor.is_test_key) not in tenant.inbound_secrets
        }
        ends = not actor.is_test_key and _forget_alone(tenant)
        if after != before or ends:
            tenant_settings.store(tenant, actor, {"providers": after})
            tenant.note(
                "settings.updated",
                actor,
                entity="settings",
                before={"providers": before},
                after={"providers": after},
            )
        return made


def choose_with(
    actor: Actor, chosen: Mapping[str, Any], changes: Mapping[str, Any], *, expected: int | None = None
) -> dict[str, str]:
    """Change other settings and choose systems, all or nothing; see `settings.change` and `choose`."""
    with transaction(actor):
        tenant_settings.change(actor, changes, expected=expected)
        return choose(actor, chosen) if chosen else {}


def roll_secret(actor: Actor, name: str) -> str:
    """A new secret for a system, shown this once. Calls are signed with the one before it as well.

    Raises:
        InvalidRequest: no such system.
    """
    if name not in providers.NAMES:
        raise InvalidRequest(f"There is no provider {name}", field="provider")
    with transaction(actor) as db:
        tenant = Tenant.locked(db, actor.tenant_id)
        secret = _new_secret(tenant, inbound_secrets.of_provider(name, alone=actor.is_test_key))
        tenant.note("provider_secret.rolled", actor, entity="settings", after={"provider": name})
        return secret


def _forget_alone(tenant: Tenant) -> bool:
    """Drop the secrets of test mode alone, rolled ones too: what is chosen for both modes holds there.

    Returns whether anything held in test mode alone.
    """
    alone = {inbound_secrets.of_provider(name, alone=True) for name in providers.NAMES}
    alone |= {inbound_secrets.previous(kind) for kind in alone}
    kept = {kind: secret for kind, secret in tenant.inbound_secrets.items() if kind not in alone}
    held = kept.keys() < tenant.inbound_secrets.keys() or "providers" in (tenant.test_settings or {})
    tenant.inbound_secrets = kept
    return held


def _new_secret(tenant: Tenant, kind: str) -> str:
    secret = generate_webhook_secret()
    kept = {kind: secrets_at_rest.encrypt(secret, tenant.id, "inbound", kind)}
    if kind in tenant.inbound_secrets:
        old = inbound_secrets.previous(kind)
        before = secrets_at_rest.decrypt(tenant.inbound_secrets[kind], tenant.id, "inbound", kind)
        kept[old] = secrets_at_rest.encrypt(before, tenant.id, "inbound", old)
    tenant.inbound_secrets = {**tenant.inbound_secrets, **kept}
    return secret
