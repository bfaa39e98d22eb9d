"""What a gateway takes on pages of its own, or in frames of its own on ours: beside base.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from app.connectors.base import ConnectorContext, MethodToken


@runtime_checkable
class HostsPages(Protocol):
    """Takes methods on a page of the gateway's own, as far as the caller's account is set up for it."""

    def hosted_types(self, context: ConnectorContext) -> frozenset[str]:
        """The method types that can be paid there now; a token of such a type leads there."""
        ...


@dataclass(frozen=True, slots=True)
class FramePolicy:
    """The hosts that a page with a gateway's frames has to let in, for its Content-Security-Policy."""

    scripts: str
    frames: str
    connects: str


@dataclass(frozen=True, slots=True)
class CardFrames:
    """What a page needs to show a gateway's own card fields.

    `name` is the connector's, and that of our script which mounts them; `label` is what a shopper calls the
    gateway; `key` is the one that browsers may know.
    """

    name: str
    label: str
    script_url: str
    key: str
    policy: FramePolicy


@runtime_checkable
class FramesCards(Protocol):
    """Brings card fields of its own into our page, so that no card number is typed into ours."""

    def card_frames(self, context: ConnectorContext) -> CardFrames | None:
        """What the page needs; None where the caller's account is not set up for it."""
        ...

    def frame_amount(self, amount: int, currency: str) -> int | None:
        """Our minor units as the gateway's script counts them; None where it takes no such amount."""
        ...

    def redeem_framed(self, context: ConnectorContext, token: str, *, keep: bool) -> MethodToken:
        """What a token stands for that the frames on our own page made; `keep`: it will be charged again.

        The page can then do whatever else the gateway's script asks of the shopper.

        Raises:
            TokenRefused: as `RedeemsTokens.redeem`.
        """
        ...
