"""What the tests of the worker share."""

from tests.merchants import actor, receiver, tenant  # noqa: F401 - fixtures
