"""What the worker does by the clock: name, seconds between runs, function.

All are safe to run twice at once: each claims the rows that it works on, so several workers share the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx2 as httpx

from app.connectors.sandbox import notices
from app.services.access import challenges, invitations, refresh_tokens, web_sessions
from app.services.checkout import (
    order_changes,
    payment,
    receipts,
    renewals,
    reservations,
    sessions,
    split_runs,
)
from app.services.events import audit
from app.services.ledger import balances
from app.services.operations import cleaning, day_figures, examinations, exports, inbound_secrets, jobs
from app.services.payments import (
    connector_logs,
    connectors,
    disputes,
    evidence_retention,
    kyc_documents,
    refunds,
    uploads,
)
from app.services.risk import counters
from app.services.treasury import payouts, settlements, statements
from app.worker import queue


@dataclass(frozen=True, slots=True)
class Periodic:
    """One row of the table."""

    name: str
    every_seconds: float
    run: Callable[[], int]


def send_sandbox_notices() -> int:
    """Let the sandbox gateway send us its webhooks."""
    return notices.send_due(_post, lambda tenant_id: inbound_secrets.find(tenant_id, "payment") or "")


def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Post to ourselves; 0 where nobody answers."""
    try:
        return httpx.post(url, content=body, headers=headers, timeout=5, trust_env=False).status_code
    except httpx.HTTPError:
        return 0


TABLE = (
    Periodic("seal the journal", 0.3, audit.seal),
    Periodic("look at open payments", 2, payment.sweep),
    Periodic("look at split payments", 30, split_runs.sweep),
    Periodic("look at open refunds", 2, refunds.sweep),
    Periodic("look at open disputes", 5, disputes.sweep),
    Periodic("look at open payouts", 2, payouts.sweep),
    Periodic("post settlements that are available", 30, statements.post_due),
    Periodic("ask for the day's settlements", 300, settlements.sync_daily),
    Periodic("sum up the ledger's days", 5, balances.sum_days),
    Periodic("renew subscriptions", 5, renewals.renew_due),
    Periodic("count the days that are over", 600, day_figures.keep_days),
    Periodic("expire sessions", 5, sessions.expire_due),
    Periodic("expire orders", 60, order_changes.expire_due),
    Periodic("expire reservations", 5, reservations.expire_due),
    Periodic("issue receipts", 2, receipts.issue_due),
    Periodic("sandbox webhooks", 1, send_sandbox_notices),
    Periodic("keep the leases of long jobs", 1, queue.keep_leases),
    Periodic("bury jobs that kill their workers", 30, jobs.bury_lapsed),
    Periodic("clean up", 3600, cleaning.clean),
    Periodic("clean up uploads", 3600, uploads.clean),
    Periodic("delete identity documents", 3600, kyc_documents.clean),
    Periodic("delete documents of disputes", 3600, evidence_retention.clean),
    Periodic("examine the installation", 3600, examinations.enqueue_due),
    Periodic("drop old exports", 3600, exports.clean),
    Periodic("clean up connector logs", 3600, connector_logs.clean),
    Periodic("forget rotated credentials", 300, connectors.forget_rotated),
    Periodic("clean up sign-ins", 3600, web_sessions.clean),
    Periodic("clean up tokens", 3600, refresh_tokens.clean),
    Periodic("clean up invitations", 3600, invitations.clean),
    Periodic("clean up challenges", 3600, challenges.clean),
    Periodic("clean up velocity counters", 3600, counters.clean),
)
