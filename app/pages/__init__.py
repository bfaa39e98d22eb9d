"""Pages that shoppers see; they call the same services as the API and hold no business rule."""

from flask import Flask
from flask_wtf import CSRFProtect

from app import settings
from app.pages import (
    cards,
    changes,
    checkout,
    docs,
    downloads,
    embed,
    links,
    logos,
    receipts,
    returns,
    sandbox,
)


def register(app: Flask, csrf: CSRFProtect) -> None:
    """Mount the pages; the simulated bank exists outside production only."""
    # A bank posts the shopper back from its own site, without our form's token; it only says "look again".
    csrf.exempt(returns.blueprint)
    for module in (checkout, embed, links, logos, receipts, returns, docs, downloads):
        app.register_blueprint(module.blueprint)
    if not settings.current().production:
        app.register_blueprint(sandbox.blueprint)


__all__ = [
    "cards",
    "changes",
    "checkout",
    "docs",
    "downloads",
    "embed",
    "links",
    "logos",
    "receipts",
    "register",
    "returns",
    "sandbox",
]
