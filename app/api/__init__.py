"""The JSON surfaces that this deployment serves."""

from app.api.auth import surface as auth
from app.api.checkout import surface as checkout
from app.api.merchant import surface as merchant
from app.api.orders import surface as orders
from app.api.payments import surface as payments
from app.api.sessions import surface as sessions
from app.api.uploads import surface as uploads
from app.web.surface import Surface

SURFACES: tuple[Surface, ...] = (checkout, payments, merchant, sessions, orders, auth, uploads)
