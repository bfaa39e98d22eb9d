"""Job name → what does it. Effects that go up the service rooms travel as one of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.services.access import tenants
from app.services.checkout import (
    finalization,
    finalization_jobs,
    handover,
    payment,
    reviewing,
    rollback,
    simulations,
    split_runs,
)
from app.services.events import audit, inbound
from app.services.operations import consulting, examinations, exports
from app.services.payments import bulk, dispute_evidence, disputes, late_success, refund_notices, refunds
from app.services.treasury import comparison, payouts, statements

#: What a handler returns is kept on the job's row, for whoever asked for the job.
Handler = Callable[[dict[str, Any]], dict[str, Any] | None]


def _noted(handler: Handler) -> Handler:
    """The handler, noting afterwards the gateway's event that asked for it, where there was one."""

    def run(job: dict[str, Any]) -> dict[str, Any] | None:
        result = handler(job)
        if "provider_event_id" in job:
            inbound.mark_processed(job["provider_event_id"])
        return result

    return run


def _examine(job: dict[str, Any]) -> None:
    merchants = {*tenants.all_ids(), *examinations.heads()}
    examinations.examine({tenant_id: audit.examined(tenant_id) for tenant_id in sorted(merchants)})


HANDLERS: dict[str, Handler] = {
    "installation.examine": _examine,
    "checkout.finalize": finalization_jobs.run,
    "checkout.resume": lambda job: finalization.resume(job["finalization_id"]),
    "checkout.take_back": lambda job: handover.take_back(job["finalization_id"]),
    "checkout.roll_back": lambda job: rollback.resume(job["finalization_id"]),
    "checkout.turn_away": lambda job: reviewing.go_on_turning_away(
        job["tenant_id"], job["mode"], job["checkout_id"]
    ),
    "exports.run": lambda job: exports.run(job["export_id"]),
    "intents.create_many": bulk.create_intents,
    "payments.look_again": _noted(lambda job: payment.look_again(job["attempt_id"], "webhook")),
    "splits.go_on": lambda job: split_runs.go_on(job["intent_id"], "job"),
    "payments.undo_late_success": _noted(lambda job: late_success.undo(job["attempt_id"])),
    "disputes.look_again": _noted(lambda job: disputes.look_again(job["attempt_id"], job["reference"])),
    "disputes.send_evidence": lambda job: dispute_evidence.send_again(job["submission_id"]),
    "disputes.give_in": lambda job: disputes.give_in_again(job["dispute_id"]),
    "sandbox.simulate": simulations.run,
    "providers.tell": consulting.tell,
    "refunds.create_many": bulk.create_refunds,
    "refunds.give_back_canceled": lambda job: refunds.give_back_canceled(job["intent_id"]),
    "payouts.send": lambda job: payouts.send(job["payout_id"]),
    "reconciliations.run": lambda job: comparison.run(job["job_id"]),
    "settlements.sync": lambda job: statements.sync(job["tenant_id"], job["mode"], job["connectors"]),
    "refunds.look_again": _noted(lambda job: refund_notices.look_again(job["attempt_id"])),
    "refunds.send": _noted(lambda job: refunds.send(job["refund_id"])),
}
