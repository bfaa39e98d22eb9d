"""PY-034 to PY-039, PY-082, OP-38: connectors, their test, their credentials and their logs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.models.payments.connector import ConnectorAccount
from app.services.operations import connector_configs
from app.services.payments import connector_logs, connectors
from app.services.payments.connectors import MAX_GRACE_SECONDS, ConnectorChange, ConnectorDraft
from app.web.endpoint import Answer
from app.web.schemas import Body, Instant, Integer, Listing, NumberedQuery, View, pages_of
from app.web.surface import Idempotency
from app.web.versions import etag, expected_version

#: Settings of an account by name; secrets among them, so that no message ever repeats a value.
Config = Annotated[
    dict[
        Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,63}$")],
        Annotated[str, Field(max_length=8192)] | None,
    ],
    Field(max_length=50),
]
Name = Annotated[str, Field(min_length=1, max_length=100)]
#: The lower number is tried first.
Priority = Annotated[Integer, Field(ge=0, le=1_000_000)]
Region = Annotated[str, Field(min_length=1, max_length=40)]


class ConnectorCreate(Body):
    """An account at a gateway; of two connectors the one with the lower `priority` is tried first."""

    name: Name
    type: str = Field(pattern="^[a-z][a-z0-9_]{0,39}$")
    config: Config = Field(default_factory=dict)
    priority: Priority = 100
    region: Region | None = None


class ConnectorPatch(Body):
    """What changes; in `config` only the given fields, null removes one."""

    name: Name | None = None
    config: Config | None = None
    priority: Priority | None = None
    region: Region | None = None
    status: Literal["active", "disabled"] | None = None
    version: Integer | None = None

    def change(self) -> ConnectorChange:
        """The change that the service takes; null takes the region away and means nothing elsewhere."""
        given: dict[str, Any] = {
            name: getattr(self, name)
            for name in self.model_fields_set & {"name", "priority", "region"}
            if name == "region" or getattr(self, name) is not None
        }
        return ConnectorChange(given, self.config, self.status, expected_version(self.version))


class CredentialsRotate(Body):
    """New credentials; for `grace_seconds` webhooks signed under the old secret are still taken."""

    config: Config = Field(min_length=1)
    grace_seconds: Integer = Field(0, ge=0, le=MAX_GRACE_SECONDS)


class ConnectorTestView(View):
    """Whether the gateway answered to these credentials, after how many milliseconds."""

    ok: bool
    latency_ms: int
    message: str


class LatestConnectorTest(ConnectorTestView):
    """The latest test."""

    at: str


class ConnectorView(View):
    """A connector; secrets in `config` are masked."""

    id: str
    name: str
    type: str
    config: dict[str, str]
    priority: int
    region: str | None
    status: Literal["active", "disabled", "error"]
    status_reason: str | None
    last_test: LatestConnectorTest | None
    previous_credentials_until: Instant | None
    version: int
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: ConnectorAccount) -> ConnectorView:
        """The view of a row."""
        return cls.model_construct(
            id=row.id,
            name=row.name,
            type=row.type,
            config=connector_configs.masked(row),
            priority=row.priority,
            region=row.region,
            status=cast(Any, row.status),
            status_reason=row.status_reason,
            last_test=LatestConnectorTest(**row.last_test) if row.last_test else None,
            previous_credentials_until=row.previous_until,
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class ConnectorLogView(View):
    """One call of the gateway; `key` is ours, `reference` the gateway's, `entity_id` charge or refund."""

    id: str
    connector_id: str
    operation: str
    outcome: str
    error: str | None
    latency_ms: int
    key: str | None
    entity_id: str | None
    reference: str | None
    created_at: Instant


class ConnectorList(NumberedQuery):
    """Which connectors."""

    status: Literal["active", "disabled", "error"] | None = None


class ConnectorLogList(NumberedQuery):
    """Which calls."""

    operation: str | None = None
    outcome: str | None = None


def _answer(row: ConnectorAccount) -> Answer:
    return Answer(ConnectorView.of(row), etag(row.version))


@surface.get(
    "/connectors",
    "PY-034",
    query=ConnectorList,
    returns=pages_of(ConnectorView),
    permission="connectors:read",
)
def list_all(actor: Actor, query: ConnectorList) -> Listing[ConnectorView]:
    """List connectors and their status, newest first."""
    page = connectors.list_page(actor, status=query.status, **query.place())
    return Listing[ConnectorView].of(page, ConnectorView.of)


@surface.post(
    "/connectors",
    "PY-035",
    body=ConnectorCreate,
    card_fields=("config",),
    returns=ConnectorView,
    status=201,
    permission="connectors:write",
)
def create(actor: Actor, body: ConnectorCreate) -> Answer:
    """Create a connector; one whose type is not installed here is kept with the status `error`."""
    return _answer(connectors.create(actor, ConnectorDraft(**body.model_dump())))


@surface.get("/connectors/{connector_id}", "PY-036", returns=ConnectorView, permission="connectors:read")
def get(actor: Actor, connector_id: str) -> Answer:
    """Read a connector; secrets are masked."""
    return _answer(connectors.get(actor, connector_id))


@surface.patch(
    "/connectors/{connector_id}",
    "PY-037",
    body=ConnectorPatch,
    card_fields=("config",),
    returns=ConnectorView,
    permission="connectors:write",
)
def change(actor: Actor, connector_id: str, body: ConnectorPatch) -> Answer:
    """Change a connector, or switch it on or off."""
    return _answer(connectors.change(actor, connector_id, body.change()))


@surface.delete("/connectors/{connector_id}", "PY-038", status=204, permission="connectors:write")
def delete(actor: Actor, connector_id: str) -> None:
    """Delete a connector and its routing rules; its past payments can still be refunded."""
    connectors.delete(actor, connector_id, version=expected_version(None))


@surface.post(
    "/connectors/{connector_id}/test",
    "PY-039",
    returns=ConnectorTestView,
    permission="connectors:write",
    idempotency=Idempotency.LEASED,
)
def test(actor: Actor, connector_id: str) -> ConnectorTestView:
    """Test credentials and connectivity."""
    found, took = connectors.test(actor, connector_id)
    return ConnectorTestView(ok=found.ok, latency_ms=took, message=found.message)


@surface.post(
    "/connectors/{connector_id}/rotate-credentials",
    "OP-38",
    body=CredentialsRotate,
    card_fields=("config",),
    returns=ConnectorView,
    permission="connectors:write",
)
def rotate(actor: Actor, connector_id: str, body: CredentialsRotate) -> Answer:
    """Rotate credentials: every call uses the new ones from now on."""
    version = expected_version(None)
    return _answer(
        connectors.rotate(actor, connector_id, body.config, grace_seconds=body.grace_seconds, version=version)
    )


@surface.get(
    "/connectors/{connector_id}/logs",
    "PY-082",
    query=ConnectorLogList,
    returns=pages_of(ConnectorLogView),
    permission="connectors:read",
)
def logs(actor: Actor, connector_id: str, query: ConnectorLogList) -> Listing[ConnectorLogView]:
    """List the calls of a connector, newest first."""
    connectors.get(actor, connector_id)
    page = connector_logs.list_page(actor, connector_id, **query.model_dump())
    return Listing[ConnectorLogView].of(page, ConnectorLogView.model_validate)
