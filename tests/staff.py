"""A merchant's people over HTTP: their JWT, and the confirmation of an action by their second factor."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.actor import Actor
from app.models.access.user import User
from app.services.access import challenges, tokens, totp, users
from tests.shops import Shop


@dataclass
class Person:
    """Somebody with a role, enrolled in MFA, in one mode."""

    user: User
    mode: str = "test"

    @property
    def actor(self) -> Actor:
        """They as an actor."""
        return tokens.person(self.user.id, self.mode)

    @property
    def bearer(self) -> dict[str, str]:
        """Headers with their token alone."""
        return {"Authorization": f"Bearer {tokens.mint_jwt(self.actor)}"}

    def confirming(self, action: str) -> dict[str, str]:
        """Headers of a call whose action they have confirmed."""
        token, _ = challenges._sign(self.actor, action)
        return {**self.bearer, "X-MFA-Token": token}


def person(shop: Shop, role: str = "payments_admin", mode: str = "test") -> Person:
    """A person of the shop."""
    address = f"{role}@{shop.actor.tenant.slug}.test".replace("_", "-")
    user = users.create(shop.actor.tenant_id, address, role, role, "a long enough secret")
    totp.begin(user.id)
    totp.enable_without_code(user.id)
    return Person(user, mode)
