"""Built-in identity checks: documents are collected, and nobody but a person or a webhook decides."""

from __future__ import annotations

from app.providers.base import KycOpening, Scope


class BuiltinKyc:
    """It examines nothing, so it never approves or rejects by itself."""

    remote = False
    name = "builtin"

    def open(self, scope: Scope, kyc_id: str) -> KycOpening:
        """See `Kyc.open`: documents come to us."""
        return KycOpening()
