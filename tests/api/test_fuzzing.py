"""Whatever is sent within or beside the document: no failure of ours, and answers of the stated form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from app import settings as environment
from app.api import SURFACES
from app.factory import create_app
from app.services.access import tokens, users
from app.web.openapi import document
from tests.databases import use
from tests.shops import make

EXAMPLES = 6
CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]

schema = schemathesis.openapi.from_dict(document(SURFACES))


@pytest.fixture(scope="module")
def target(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The app with a key and a person's token, for the whole module: what one call leaves the next one meets."""
    folder = tmp_path_factory.mktemp("fuzzing")
    (folder / "till.db").write_bytes(sqlite_template.read_bytes())
    use(f"sqlite:///{folder / 'till.db'}", folder)
    changes = {"api_reads_per_second": 0, "api_writes_per_second": 0, "log_level": "CRITICAL"}
    app = create_app(environment.current().model_copy(update=changes))
    shop = make()
    person = users.create(shop.actor.tenant_id, "a@b.test", "A", "admin", "a long enough secret")
    token = tokens.mint_jwt(tokens.person(person.id, "test"))
    ours = {"app": app, "base_url": "http://localhost"}
    return {
        "merchant": {**ours, "headers": {"Authorization": f"Bearer {shop.secret}", "x-api-key": shop.secret}},
        "orders": {**ours, "headers": {"Authorization": f"Bearer {token}"}},
    }


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_call_breaks_anything(case: schemathesis.Case, target: dict[str, Any]) -> None:
    takes_tokens_alone = case.path.startswith(("/api/payments/", "/api/orders"))
    case.call_and_validate(checks=CHECKS, **target["orders" if takes_tokens_alone else "merchant"])
