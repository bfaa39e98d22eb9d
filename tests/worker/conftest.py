"""What the tests of the worker share."""

from tests.services.events.conftest import (  # noqa: F401 - fixtures
    actor,
    database,
    postgresql_server,
    postgresql_template,
    receiver,
    sqlite_template,
    tenant,
)
