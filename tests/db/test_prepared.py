"""Look-ups on the driver itself: the same rows as through SQLAlchemy, on a connection that may have died."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, select, text

from app import db
from app.db import Lookup, reading, transaction
from app.domain.errors import ServiceUnavailable
from app.models.access.tenant import Tenant
from app.models.checkout.session import CheckoutSession
from app.models.reading import Reader
from tests.shops import Shop

NAME = Lookup(select(Tenant.name, Tenant.created_at, Tenant.settings).where(Tenant.id == bindparam("id")))


@pytest.fixture
def warm(shop: Shop) -> Shop:
    """A shop that was looked up once, so that a connection is kept."""
    assert NAME.one({"id": shop.actor.tenant_id}) is not None
    return shop


def test_a_row_is_what_sqlalchemy_reads(shop: Shop) -> None:
    session = shop.session(
        title="Tea", metadata={"a": [1, None, "ü"], "b": 1.5}, customer={"email": "a@b.example"}
    )
    reader = Reader(CheckoutSession)
    lookup = Lookup(select(*reader.columns).where(CheckoutSession.id == bindparam("id")))
    quick = reader.take(lookup.one({"id": session.id}))[0]
    with reading() as db_session:
        plain = db_session.get_one(CheckoutSession, session.id)
        for column in CheckoutSession.__mapper__.column_attrs:
            mine, theirs = getattr(quick, column.key), getattr(plain, column.key)
            assert (mine, type(mine)) == (theirs, type(theirs)), column.key


def test_what_is_not_there_is_none(shop: Shop) -> None:
    assert NAME.one({"id": "nobody"}) is None


def test_inside_a_transaction_it_sees_that_transactions_writes(warm: Shop) -> None:
    with transaction() as session:
        session.execute(text("UPDATE tenants SET name = 'Renamed'"))
        assert NAME.one({"id": warm.actor.tenant_id}).name == "Renamed"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_connection_that_the_server_ended_is_replaced(warm: Shop) -> None:
    with transaction() as session:
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert NAME.one({"id": warm.actor.tenant_id}) is not None


def test_a_database_that_is_gone_is_said_so(warm: Shop, tmp_path: object) -> None:
    db.configure(f"sqlite:///{tmp_path}/nowhere/till.db")
    with pytest.raises(ServiceUnavailable):
        NAME.one({"id": warm.actor.tenant_id})
