"""Surfaces: a prefix, an error body and a set of endpoints whose policy is data.

An endpoint module writes

    @surface.post("/sessions", "CK-001", body=SessionCreate, returns=SessionView, status=201,
                  auth=BROWSER, permission="checkout:write", idempotency=Idempotency.LOCAL)
    def create(actor: Actor, body: SessionCreate) -> SessionView: ...

and gets `actor`, `body`, `query` and the path's parameters by name. Authentication, tenant, rate limit,
permission, second factor, validation and idempotency come before it, in this order (OP-10); the contract
test and the OpenAPI document read the same policies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from flask import Blueprint, Flask
from pydantic import BaseModel

from app import settings
from app.domain.actor import ActorKind
from app.domain.errors import DomainError
from app.web import endpoint

F = TypeVar("F", bound=Callable[..., Any])

#: Who may call: a merchant's server alone, or also the browser of one session, or a store front.
SERVER = frozenset({ActorKind.API_KEY, ActorKind.MACHINE_TOKEN, ActorKind.USER})
BROWSER = SERVER | {ActorKind.CLIENT_TOKEN}
#: As `BROWSER`, and the browser that has the client secret of the payment.
PAYER = BROWSER | {ActorKind.CLIENT_SECRET}
#: A client token has a session already; it makes no other (OP-07).
STOREFRONT = SERVER | {ActorKind.PUBLISHABLE_KEY}
#: Signed-in people alone: a merchant's own staff with a JWT.
PEOPLE = frozenset({ActorKind.USER})
#: Holders of a JWT where a second factor is wanted: a machine's gets no further than being told so (OP-05).
CONFIRMED = PEOPLE | {ActorKind.MACHINE_TOKEN}
PUBLIC: frozenset[ActorKind] = frozenset()


class Idempotency(StrEnum):
    """What an Idempotency-Key does here."""

    NONE = "none"
    #: Work in our database alone: key, work and stored answer are one transaction.
    LOCAL = "local"
    #: Work that calls gateways: the key is leased first, the answer stored after.
    LEASED = "leased"


@dataclass(frozen=True, slots=True)
class Limit:
    """A strict limit: so many in a sliding minute, per `tenant` or per `ip`."""

    count: int
    per: str
    window_seconds: int = 60


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """Everything that is declared of one endpoint; `sandbox_only` ones are absent in production.

    `accepts` are media types, besides JSON, whose bodies the endpoint reads itself (files); `downloads` says
    that it answers a file (`endpoint.Download`); one that `may_be_empty` answers 204 at times, and one that
    `may_lead_on` sends a browser elsewhere. One that `tells_payers` changes nothing, and answers the browser
    of whoever pays or has paid although the merchant is suspended.
    """

    surface: Surface
    contract_id: str
    method: str
    path: str
    summary: str
    auth: frozenset[ActorKind]
    permission: str | None
    mfa: str | None
    limit: Limit | None
    idempotency: Idempotency
    key_required: bool
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    returns: Any
    status: int
    signed: bool
    accepts: tuple[str, ...]
    downloads: bool
    sandbox_only: bool
    may_be_empty: bool
    may_lead_on: bool
    tells_payers: bool
    #: Dotted paths of body fields that may hold a card or account number.
    card_fields: frozenset[str]

    @property
    def route(self) -> str:
        """Method and full path, as the contract writes them."""
        return f"{self.method} {self.surface.prefix}{self.path}"


class Surface:
    """One face of the API."""

    def __init__(
        self,
        name: str,
        prefix: str,
        *,
        render_error: Callable[[DomainError, str], dict[str, Any]],
        key_header: str = "Authorization",
        also_at: Iterable[str] = (),
        handles: str | tuple[str, ...] | None = None,
        exact_numbers: bool = False,
    ) -> None:
        self.name = name
        self.prefix = prefix
        self.render_error = render_error
        self.key_header = key_header
        handled = (handles or prefix,) if isinstance(handles, str) or handles is None else handles
        self.error_prefixes = (*handled, *also_at)
        #: Whether numbers with a fraction are read as decimals, by their text.
        self.exact_numbers = exact_numbers
        self.mounts = (prefix, *also_at)
        self.policies: list[Policy] = []
        self._views: list[tuple[Policy, Callable[..., Any]]] = []

    def get(self, path: str, contract_id: str, **declared: Any) -> Callable[[F], F]:
        """Declare a GET."""
        return self._declare("GET", path, contract_id, declared)

    def post(self, path: str, contract_id: str, **declared: Any) -> Callable[[F], F]:
        """Declare a POST."""
        return self._declare("POST", path, contract_id, declared)

    def put(self, path: str, contract_id: str, **declared: Any) -> Callable[[F], F]:
        """Declare a PUT."""
        return self._declare("PUT", path, contract_id, declared)

    def delete(self, path: str, contract_id: str, **declared: Any) -> Callable[[F], F]:
        """Declare a DELETE."""
        return self._declare("DELETE", path, contract_id, declared)

    def patch(self, path: str, contract_id: str, **declared: Any) -> Callable[[F], F]:
        """Declare a PATCH."""
        return self._declare("PATCH", path, contract_id, declared)

    def _declare(
        self, method: str, path: str, contract_id: str, declared: dict[str, Any]
    ) -> Callable[[F], F]:
        def remember(function: F) -> F:
            policy = Policy(
                surface=self,
                contract_id=contract_id,
                method=method,
                path=path,
                summary=(function.__doc__ or "").strip().split("\n")[0],
                auth=declared.pop("auth", SERVER),
                permission=declared.pop("permission", None),
                mfa=declared.pop("mfa", None),
                limit=declared.pop("limit", None),
                idempotency=declared.pop(
                    "idempotency", Idempotency.NONE if method == "GET" else Idempotency.LOCAL
                ),
                key_required=declared.pop("key_required", False),
                body=declared.pop("body", None),
                query=declared.pop("query", None),
                returns=declared.pop("returns", None),
                status=declared.pop("status", 200),
                signed=declared.pop("signed", False),
                accepts=declared.pop("accepts", ()),
                downloads=declared.pop("downloads", False),
                sandbox_only=declared.pop("sandbox_only", False),
                may_be_empty=declared.pop("may_be_empty", False),
                may_lead_on=declared.pop("may_lead_on", False),
                tells_payers=declared.pop("tells_payers", False),
                card_fields=frozenset(declared.pop("card_fields", ())),
            )
            if declared:
                raise TypeError(f"{contract_id}: unknown declarations {sorted(declared)}")
            self.policies.append(policy)
            self._views.append((policy, function))
            return function

        return remember

    def mount(self, app: Flask, exempt: Callable[[Blueprint], None]) -> None:
        """Register the endpoints under every prefix; they take no cookie, so `exempt` them from CSRF."""
        for number, prefix in enumerate(self.mounts):
            blueprint = Blueprint(f"api_{self.name}_{number}", __name__, url_prefix=prefix or None)
            for policy, function in self._views:
                if policy.sandbox_only and settings.current().production:
                    continue
                blueprint.add_url_rule(
                    re.sub(r"{(\w+)}", r"<\1>", policy.path),
                    endpoint=f"{policy.contract_id}_{policy.method}",
                    view_func=endpoint.view(policy, function),
                    methods=[policy.method],
                )
            exempt(blueprint)
            app.register_blueprint(blueprint)
