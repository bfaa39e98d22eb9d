"""The orders surface (contract/orders.md, OP-69)."""

from app.api.orders import orders, payments
from app.api.orders.surface import surface

__all__ = ["orders", "payments", "surface"]
