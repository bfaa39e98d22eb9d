"""What the tests of events share."""

from tests.merchants import actor, receiver, stranger, tenant  # noqa: F401 - fixtures
