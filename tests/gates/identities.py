"""The seven who come to every route, and what its declared policy says to each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.actor import Actor, ActorKind
from app.domain.permissions import ROLES, SCOPES
from app.services.access import challenges, keys, roles, tokens, users, web_sessions
from app.services.checkout import sessions
from app.services.payments import intents
from app.services.payments.intents import IntentDraft
from app.web.surface import Policy
from tests.shops import Shop

_BROWSERS = (ActorKind.PUBLISHABLE_KEY, ActorKind.CLIENT_TOKEN, ActorKind.CLIENT_SECRET)
PASSWORD = "a long enough passphrase"
#: What belongs to the merchant as a whole: keys of test mode are refused (docs/adr/0040).
MERCHANTS_OWN = {"PY-074"}


class Word(StrEnum):
    """What a policy says before anything is looked up."""

    IN = "in"
    UNKNOWN = "401"
    FORBIDDEN = "403"
    CONFIRM = "401 second factor"


@dataclass(frozen=True)
class Identity:
    """A caller: its credential, and what its policy would look at."""

    name: str
    kind: ActorKind | None
    credential: str | None
    permissions: frozenset[str] = frozenset()
    #: Whose second factor has just been answered, where it has.
    confirms: Actor | None = None
    other_tenant: bool = False
    live: bool = False

    def headers(self, policy: Policy) -> dict[str, str]:
        """The credential where this surface looks for it."""
        if self.credential is None:
            return {}
        bare = policy.surface.key_header != "Authorization"
        sent = {policy.surface.key_header: self.credential if bare else f"Bearer {self.credential}"}
        if self.confirms is not None and policy.mfa is not None:
            sent["X-MFA-Token"] = challenges._sign(self.confirms, policy.mfa)[0]
        return sent

    def word(self, policy: Policy) -> Word:
        """What the declared policy says to this caller."""
        takes_keys_alone = policy.surface.key_header != "Authorization"
        if self.kind is None or (
            takes_keys_alone and self.kind not in (ActorKind.API_KEY, ActorKind.PUBLISHABLE_KEY)
        ):
            return Word.UNKNOWN
        if self.kind not in policy.auth:
            return Word.FORBIDDEN if self.kind in _BROWSERS else Word.UNKNOWN
        if self.kind != ActorKind.PUBLISHABLE_KEY and not self._holds(policy.permission):
            return Word.FORBIDDEN
        if policy.mfa is not None and self.kind != ActorKind.API_KEY and self.confirms is None:
            return Word.CONFIRM
        return Word.IN

    def _holds(self, permission: str | None) -> bool:
        held = self.permissions
        return permission is None or bool({permission, "*", f"{permission.split(':')[0]}:*"} & held)


class Identities:
    """Who comes: made once; the key without a scope is made for each scope that is asked for."""

    def __init__(self, shop: Shop, stranger: Shop, checkout_id: str, other_checkout: str) -> None:
        self._shop, self._scoped = shop, dict[str, Identity]()
        everything = frozenset({"*"})
        browser = frozenset({"checkout:*", "intents:*", "methods:*"})
        _, publishable = keys.create(shop.actor, "shop front", kind="pk")
        _, live = keys.create(shop.actor, "live", mode="live")
        viewer = users.create(shop.actor.tenant_id, "viewer@shop.example", "Viewer", "read_only", PASSWORD)
        owner = users.create(shop.actor.tenant_id, "owner@shop.example", "Owner", "payments_admin", PASSWORD)
        other = users.create(
            stranger.actor.tenant_id, "owner@other.example", "Odd", "payments_admin", PASSWORD
        )
        roles.put(shop.operator, "nothing", ["sandbox:read"], "", None)
        idle = users.create(shop.actor.tenant_id, "idle@shop.example", "Idle", "nothing", PASSWORD)
        #: Those who sign in, by what they may do.
        self.people = {
            "viewer": (viewer.id, ROLES["read_only"]),
            "owner": (owner.id, everything),
            "idle": (idle.id, frozenset({"sandbox:read"})),
            "other tenant": (other.id, everything),
        }
        held = web_sessions.load(web_sessions.open_session(owner.id))
        assert held is not None
        #: A sign-in of the owner's.
        self.sign_in_id = held.id
        self.none = Identity("none", None, None)
        self._stranger = Identity(
            "other tenant", ActorKind.API_KEY, stranger.secret, everything, other_tenant=True
        )
        self._stranger_in_person = _person(other.id, "other tenant in person", other_tenant=True)
        self.viewer = Identity("viewer", ActorKind.USER, _jwt(viewer.id), ROLES["read_only"])
        self.publishable = Identity("publishable key", ActorKind.PUBLISHABLE_KEY, publishable)
        self.token = Identity("client token", ActorKind.CLIENT_TOKEN, _token(shop, checkout_id), browser)
        self.other_token = Identity(
            "client token of another session", ActorKind.CLIENT_TOKEN, _token(shop, other_checkout), browser
        )
        secret = tokens.client_secret(intents.create(shop.actor, IntentDraft(900, "GBP")))
        self.other_secret = Identity(
            "client secret of another payment",
            ActorKind.CLIENT_SECRET,
            secret,
            frozenset({"intents:read", "intents:write"}),
        )
        self.owner = Identity("owner", ActorKind.API_KEY, shop.secret, everything)
        self.bearer_in_person = {"Authorization": f"Bearer {_jwt(owner.id)}"}
        self.owner_in_person = Identity("owner in person", ActorKind.USER, _jwt(owner.id), everything)
        machine = tokens.mint_jwt(shop.actor)
        self.machine = Identity("machine's token", ActorKind.MACHINE_TOKEN, machine, everything)
        self._live = Identity("live key", ActorKind.API_KEY, live, everything, live=True)
        self._live_in_person = _person(owner.id, "owner in live mode", live=True)
        self._confirmed = _person(owner.id, "owner in person, confirmed")

    def scopeless(self, policy: Policy) -> Identity:
        """A key that may do all but this."""
        missing = policy.permission or "*"
        if missing not in self._scoped:
            scopes = sorted(SCOPES - {missing, "*"})
            _, secret = keys.create(self._shop.actor, f"all but {missing}"[:60], scopes=scopes)
            self._scoped[missing] = Identity(
                f"key without {missing}", ActorKind.API_KEY, secret, frozenset(scopes)
            )
        return self._scoped[missing]

    def on(self, policy: Policy) -> Identity:
        """The owner as this endpoint takes them."""
        return self._confirmed if self._wants_people(policy) else self.owner

    def stranger(self, policy: Policy) -> Identity:
        """Another merchant, let in as this endpoint lets in."""
        return self._stranger_in_person if self._wants_people(policy) else self._stranger

    def live(self, policy: Policy) -> Identity:
        """The merchant's own live mode, likewise."""
        return self._live_in_person if self._wants_people(policy) else self._live

    def _wants_people(self, policy: Policy) -> bool:
        keys_alike = ActorKind.API_KEY in policy.auth and policy.contract_id not in MERCHANTS_OWN
        return bool(policy.auth) and not keys_alike


def _person(user_id: str, name: str, **facts: bool) -> Identity:
    """Somebody with a token who may do everything and has confirmed it."""
    actor = tokens.person(user_id, "live" if facts.get("live") else "test")
    return Identity(name, ActorKind.USER, tokens.mint_jwt(actor), frozenset({"*"}), actor, **facts)


def _jwt(user_id: str) -> str:
    return tokens.mint_jwt(tokens.person(user_id, "test"))


def _token(shop: Shop, checkout_id: str) -> str:
    return tokens.client_token(sessions.get(shop.actor, checkout_id))
