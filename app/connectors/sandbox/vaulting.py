"""The vault's half of the sandbox connector: client tokens, accounts, proofs and the 3-D Secure look-up."""

from __future__ import annotations

from app.connectors import base, vaulting
from app.connectors.sandbox import client_tokens, proofs, vault


class SandboxVault:
    """Implements the capabilities of connectors/vaulting.py."""

    def tokenize_bank_account(
        self, context: base.ConnectorContext, account: vaulting.BankDetails
    ) -> base.MethodToken:
        """See `TokenizesBankAccounts`; only the published test accounts are taken."""
        return vault.keep_account(context, account)

    def issue_client_token(
        self, context: base.ConnectorContext, details: vaulting.MethodDetails
    ) -> vaulting.ClientToken:
        """See `IssuesClientTokens`."""
        return client_tokens.issue(context, details)

    def redeem(self, context: base.ConnectorContext, token: str) -> base.MethodToken:
        """See `RedeemsTokens`."""
        return client_tokens.redeem(context, token)

    def send_deposits(self, context: base.ConnectorContext, token: str, key: str) -> vaulting.Proof:
        """See `VerifiesBankAccounts`."""
        return proofs.send_deposits(context, token, key)

    def check_deposits(
        self, context: base.ConnectorContext, key: str, amounts: tuple[int, int]
    ) -> vaulting.Proof:
        """See `VerifiesBankAccounts`."""
        return proofs.check_deposits(context, key, amounts)

    def verify_account(self, context: base.ConnectorContext, token: str) -> vaulting.Proof:
        """See `VerifiesBankAccounts`."""
        return proofs.verify_account(context, token)

    def look_up_three_ds(self, context: base.ConnectorContext, token: str) -> vaulting.ThreeDSLookup:
        """See `LooksUpThreeDS`."""
        return proofs.look_up_three_ds(context, token)
