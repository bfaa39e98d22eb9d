"""What an operator can show an assessor: the facts of this installation that PCI DSS asks for (PY-075).

Every value is looked up or counted when it is asked for, or stems from the nightly examination; nothing is
promised. It is a description of Till's part, no attestation of compliance in the sense of the standard.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import settings
from app.connectors import registry
from app.db import reading
from app.domain.actor import Actor
from app.kit import clock
from app.kit.canonical import fingerprint
from app.models.access.api_key import ApiKey
from app.models.access.user import User
from app.models.events.journal import JournalEntry
from app.models.operations.examination import Examination
from app.services.operations import examinations, secrets_at_rest

STANDARD, QUESTIONNAIRE = "PCI DSS 4.0.1", "A"
#: The scripts of the hosted payment page, below static/ (a test compares them with the page).
HOSTED_PAGE_SCRIPTS = ("js/checkout.js",)

#: The triggers that keep the journal as it was written.
GUARDS = {"journal_facts_stand", "journal_seal_stands", "journal_stays"}
#: What the questionnaire asks of the operator, and no software does for them.
RESPONSIBILITIES = (
    "Serve Till over TLS and keep its host patched (2, 6)",
    "Confirm that each payment service provider is compliant, and keep the agreement (12.8)",
    "Scan what faces the internet each quarter, by an approved vendor (11.3.2)",
    "Authorise and review the scripts of pages of your own that embed the checkout (6.4.3, 11.6.1)",
    "Keep an incident response plan (12.10)",
)

_STATIC = Path(__file__).resolve().parents[3] / "static"


@dataclass(frozen=True, slots=True)
class Attestation:
    """The facts, part by part, as they are answered."""

    generated_at: datetime
    card_data: dict[str, Any]
    encryption: dict[str, Any]
    transport: dict[str, Any]
    scripts: dict[str, Any]
    gateways: dict[str, Any]
    access: dict[str, Any]
    audit: dict[str, Any]


def attest(actor: Actor) -> Attestation:
    """The facts for a merchant, as they are now."""
    seen = examinations.latest()
    with reading() as db:
        return Attestation(
            generated_at=clock.now(),
            card_data={
                "numbers_stored": None if seen is None else bool(seen.findings),
                "last_scan_at": _text(seen.finished_at if seen else None),
                "tables_scanned": seen.tables if seen else 0,
                "cells_scanned": seen.cells if seen else 0,
                "findings": seen.findings if seen else {},
                "kept_of_a_card": ["brand", "last4", "exp_month", "exp_year", "token"],
            },
            encryption=_encryption(seen.keys if seen else {}),
            transport=_transport(),
            scripts=_scripts(),
            gateways=_gateways(),
            access=_access(db, actor),
            audit=_audit(db, actor, seen),
        )


def _encryption(keys: dict[str, Any]) -> dict[str, Any]:
    present = secrets_at_rest.primary_key_id()
    ring = set(settings.current().encryption_key_ring)
    return {
        "algorithm": "AES-256-GCM",
        "keys": [
            {"id": name, "encrypts": name == present, "available": name in ring, **facts}
            for name, facts in keys.items()
        ],
        "last_rotation_at": keys.get(present, {}).get("first_seen_at") if len(keys) > 1 else None,
        "rotation_pending": any(name != present and facts["cells"] for name, facts in keys.items()),
    }


def _transport() -> dict[str, Any]:
    current = settings.current()
    return {
        "public_url": current.base_url,
        "https": current.base_url.startswith("https://"),
        "strict_transport_security": current.production,
        "secure_cookies": current.production,
        "hosts": current.trusted_hosts,
        "environment": current.env,
    }


def _scripts() -> dict[str, Any]:
    """The inventory of requirement 6.4.3: each script of the hosted page with its integrity value."""
    inventory = [
        {"path": f"/static/{name}", "integrity": _integrity(_STATIC / name)} for name in HOSTED_PAGE_SCRIPTS
    ]
    return {"hosted_page": inventory, "inventory_sha256": fingerprint(inventory)}


def _integrity(path: Path) -> str:
    digest = hashlib.sha384(path.read_bytes()).digest()
    return "sha384-" + base64.b64encode(digest).decode()


def _gateways() -> dict[str, Any]:
    """Who takes the card: in live mode the gateway alone; numbers never pass through Till (security.md)."""
    live = [c for c in registry.all_connectors() if c.name != "sandbox"]
    return {
        "live": [{"name": c.name, "label": c.label} for c in live],
        "sandbox": len(live) != len(registry.all_connectors()),
        "raw_numbers_in_live_mode": False,
    }


def _access(db: Session, actor: Actor) -> dict[str, Any]:
    people = (User.tenant_id == actor.tenant_id, User.disabled_at.is_(None))
    users, secured = db.execute(
        select(func.count(), func.count().filter(User.totp_enabled)).where(*people)
    ).one()
    now = clock.now()
    alive = (ApiKey.expires_at.is_(None)) | (ApiKey.expires_at > now)
    mine = (ApiKey.tenant_id == actor.tenant_id, ApiKey.mode == str(actor.mode), ApiKey.revoked_at.is_(None))
    active, endless, oldest = db.execute(
        select(
            func.count(),
            func.count().filter(ApiKey.expires_at.is_(None)),
            func.min(ApiKey.created_at),
        ).where(*mine, alive)
    ).one()
    return {
        "users": users,
        "users_with_second_factor": secured,
        "active_keys": active,
        "keys_without_expiry": endless,
        "oldest_key_at": _text(oldest),
    }


def _audit(db: Session, actor: Actor, seen: Examination | None) -> dict[str, Any]:
    sealed = (
        select(JournalEntry.sequence, JournalEntry.hash, JournalEntry.created_at)
        .where(JournalEntry.tenant_id == actor.tenant_id, JournalEntry.sequence.is_not(None))
        .order_by(JournalEntry.sequence.desc())
        .limit(1)
    )
    head = db.execute(sealed).one_or_none()
    problems = examinations.problems_of(seen, actor.tenant_id)
    return {
        "entries": head.sequence if head else 0,
        "head_hash": head.hash if head else None,
        "last_entry_at": _text(head.created_at if head else None),
        "append_only": _is_guarded(db),
        "chain_verified_at": _text(seen.finished_at) if seen and problems is not None else None,
        "chain_problems": problems or [],
    }


def _is_guarded(db: Session) -> bool:
    """Whether the database itself refuses to change the journal (models/events/journal_guard.py)."""
    connection = db.connection()
    if connection.dialect.name == "postgresql":
        asked = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'journal'::regclass AND tgenabled <> 'D'"
    else:
        asked = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'journal'"
    return {row[0] for row in connection.exec_driver_sql(asked)} >= GUARDS


def _text(instant: datetime | None) -> str | None:
    return clock.to_rfc3339(instant) if instant else None
