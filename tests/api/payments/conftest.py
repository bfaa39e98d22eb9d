"""What tests of the payments surface ask for."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.payments_api import Api
from tests.shops import Shop


@pytest.fixture
def api(client: FlaskClient, shop: Shop) -> Api:
    """A server that calls the payments surface."""
    return Api(client, shop)
