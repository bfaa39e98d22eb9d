"""The identity service of a merchant's own: it is told of a check, and decides by a signed webhook.

No document passes through the call: either the service has a page for them, or they stay with us.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.rules import providers
from app.kit.http import AddressRefused, check_url
from app.providers.base import KycOpening, Scope
from app.providers.remote.questions import ask
from app.providers.remote.reading import text, understood

MAX_REFERENCE, MAX_URL = 128, 2000


class HttpKyc:
    """Identity checks behind a URL."""

    remote = True
    name = "http"

    def __init__(self, url: str) -> None:
        self._url = url

    def open(self, scope: Scope, kyc_id: str) -> KycOpening:
        """See `Kyc.open`; the key is the check's own, so that a call that is repeated opens no second one."""
        answer = ask(scope, providers.KYC, self._url, "open", {"kyc_id": kyc_id}, key=f"kyc.open:{kyc_id}")
        return understood(providers.KYC, answer, _opening)


def _opening(said: Mapping[str, Any]) -> KycOpening:
    url = said.get("url")
    return KycOpening(text(said["reference"], MAX_REFERENCE), None if url is None else _page(url))


def _page(url: Any) -> str:
    """An address that a buyer's browser may be sent to."""
    try:
        check_url(text(url, MAX_URL))
    except AddressRefused as refused:
        raise ValueError("not an address") from refused
    return str(url)
