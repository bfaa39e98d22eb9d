"""What the tests of payments share: another kind of gateway, a fresh circuit breaker."""

from tests.accounts import breaker, elsewhere  # noqa: F401 - fixtures
