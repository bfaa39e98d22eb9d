"""What every test may ask for: databases (both kinds), a shop to buy in, the app, a frozen clock, Stripe, a merchant's systems, all pages."""

pytest_plugins = [
    "tests.remembered",
    "tests.databases",
    "tests.shops",
    "tests.desk",
    "tests.pages.gallery",
    "tests.stripe_standin.fixtures",
    "tests.providers_apart",
]
