"""The walk through every route of the app by seven identities, and what it needs."""
