"""`client.payments`: everything about money without a page."""

from __future__ import annotations

from payment_sdk import _operations as op
from payment_sdk._caller import Caller
from payment_sdk.models.payments import Authorization, Capture, Charge, Job
from payment_sdk.resources.base import Resource, given
from payment_sdk.resources.disputes import Disputes
from payment_sdk.resources.intents import Intents
from payment_sdk.resources.methods import Methods
from payment_sdk.resources.refunds import Refunds

_AUTHORIZATION = op.get("PY-018", "/v1/payments/authorizations/{auth_id}")
_CAPTURE = op.post("PY-019", "/v1/payments/authorizations/{auth_id}/capture")
_VOID = op.post("PY-020", "/v1/payments/authorizations/{auth_id}/void")
_CHARGE = op.get("PY-021", "/v1/payments/charges/{charge_id}")
_JOB = op.get("OP-35-payments", "/v1/payments/jobs/{job_id}")


class Payments(Resource):
    """The payments surface."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self.intents = Intents(caller)
        self.refunds = Refunds(caller)
        self.disputes = Disputes(caller)
        self.methods = Methods(caller)
        self.authorizations = Authorizations(caller)
        self.charges = Charges(caller)
        self.jobs = Jobs(caller)


class Authorizations(Resource):
    """Money that is held."""

    def get(self, auth_id: str) -> Authorization:
        """An authorization."""
        return self._one(_AUTHORIZATION, Authorization, _AUTHORIZATION.at(auth_id=auth_id))

    def capture(
        self, auth_id: str, *, amount: int | None = None, idempotency_key: str | None = None
    ) -> Capture:
        """Take all of it, or a part, which lets go of the rest."""
        path = _CAPTURE.at(auth_id=auth_id)
        return self._one(_CAPTURE, Capture, path, body=given(amount=amount), key=idempotency_key)

    def void(self, auth_id: str, *, idempotency_key: str | None = None) -> Authorization:
        """Let go of it."""
        return self._one(_VOID, Authorization, _VOID.at(auth_id=auth_id), key=idempotency_key)


class Charges(Resource):
    """Attempts at payments."""

    def get(self, charge_id: str) -> Charge:
        """A charge, as the gateway saw it."""
        return self._one(_CHARGE, Charge, _CHARGE.at(charge_id=charge_id))


class Jobs(Resource):
    """Work in the background."""

    def get(self, job_id: str) -> Job:
        """How far it is, and what came of it."""
        return self._one(_JOB, Job, _JOB.at(job_id=job_id))
