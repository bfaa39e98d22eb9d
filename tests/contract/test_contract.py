"""The live routes against the contract's table: what is built is declared as the contract has it.

Rows that are not built stand in unbuilt.txt, which only shrinks: a row that is both built and listed fails.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from app.api import SURFACES
from app.domain.actor import ActorKind
from app.web.surface import PUBLIC, Idempotency, Policy

HERE = Path(__file__).parent
ROWS = {row["id"]: row for row in csv.DictReader((HERE / "endpoints.csv").open())}
UNBUILT = set((HERE / "unbuilt.txt").read_text().split())
BUILT: dict[str, Policy] = {p.contract_id: p for surface in SURFACES for p in surface.policies}
CONTRACTED = sorted(set(BUILT) & set(ROWS))
#: Endpoints that resolutions add to the table (open-points.md, section G), by the point's number; those of
#: subscriptions (OP-83) are docs/adr/0029's.
EXTRAS = {"OP-05", "OP-06", "OP-08", "OP-12", "OP-17", "OP-35", "OP-36", "OP-37", "OP-38"}
EXTRAS |= {"OP-51", "OP-64", "OP-69", "OP-83"}
#: Without these a row of the table would lead nowhere (docs/adr/0022).
OWN = {"CK-047-get", "CK-047-document", "CK-049-complete"}
#: A publishable key creates sessions and lists payment methods, no more (OP-07).
STORE_FRONT = {"CK-001", "CK-030"}


def test_what_is_built_is_in_the_table_or_an_addition() -> None:
    assert {contract_id[:5] for contract_id in set(BUILT) - set(ROWS) - OWN} <= EXTRAS
    unlocked = {contract_id for contract_id in set(BUILT) - set(ROWS) if BUILT[contract_id].auth == PUBLIC}
    assert unlocked <= {"OP-05", "OP-05-revoke", "OP-36-put", "OP-36-kyc"}, (
        "an addition that wants no credential"
    )
    assert BUILT["OP-36-put"].signed and BUILT["OP-36-kyc"].signed
    routes = [policy.route for surface in SURFACES for policy in surface.policies]
    assert len(routes) == len(set(routes)), "a route is declared twice"


def test_each_row_is_built_or_listed_and_not_both() -> None:
    assert set(ROWS) >= UNBUILT, "unbuilt.txt lists a row that does not exist"
    assert set(BUILT) & UNBUILT == set(), "built: take it out of unbuilt.txt"
    assert set(ROWS) - set(BUILT) - UNBUILT == set(), "neither built nor listed"


@pytest.mark.parametrize("contract_id", CONTRACTED)
def test_method_and_path_are_exact(contract_id: str) -> None:
    row, policy = ROWS[contract_id], BUILT[contract_id]
    path = row["path"].split("?")[0]
    names = [part for part in path.split("/") if part.startswith("{")]
    mine = [part for part in (policy.surface.prefix + policy.path).split("/") if part.startswith("{")]
    for theirs, ours in zip(names, mine, strict=True):
        path = path.replace(theirs, ours, 1)
    assert policy.route == f"{row['method']} {path}"


@pytest.mark.parametrize("contract_id", CONTRACTED)
def test_policy_follows_the_contract(contract_id: str) -> None:
    row, policy = ROWS[contract_id], BUILT[contract_id]
    if row["auth"] in ("public", "signature"):
        assert policy.auth == PUBLIC
        assert policy.signed == (row["auth"] == "signature")
    else:
        assert ActorKind.API_KEY in policy.auth or row["auth"] in ("bearer", "jwt")
        browsers = {ActorKind.CLIENT_TOKEN, ActorKind.CLIENT_SECRET, ActorKind.PUBLISHABLE_KEY} & policy.auth
        assert bool(browsers) == ("client" in row["auth"])
        assert (ActorKind.PUBLISHABLE_KEY in policy.auth) <= (contract_id in STORE_FRONT)
        assert policy.permission is not None, "a route without a permission"
    if row["idempotent"] == "read":
        assert (policy.method, policy.idempotency) == ("GET", Idempotency.NONE)
    if row["idempotent"] == "key-required":
        assert policy.key_required
    if row["idempotent"] == "key":
        assert policy.idempotency != Idempotency.NONE
    assert policy.mfa == (None if row["mfa"] in ("-", "no") else row["mfa"])
    if row["permission"] not in ("-", "admin"):
        assert policy.permission == row["permission"]


@pytest.mark.parametrize("contract_id", CONTRACTED)
def test_strict_limits_are_the_contracts(contract_id: str) -> None:
    stated, limit = ROWS[contract_id]["rate_limit"], BUILT[contract_id].limit
    if "/" not in stated:
        assert limit is None
        return
    assert limit is not None
    assert f"{limit.count}/min/{limit.per}" == stated
    assert limit.window_seconds == 60
