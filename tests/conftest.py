"""What every test may ask for: databases (both kinds), a shop to buy in, the app, a frozen clock, Stripe."""

pytest_plugins = ["tests.databases", "tests.shops", "tests.stripe_standin.fixtures"]
