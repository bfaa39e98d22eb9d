"""What the tests of operations share."""

from tests.merchants import actor, stranger, tenant  # noqa: F401 - fixtures
