"""What every test may ask for: databases (both kinds), a shop to buy in, the app, a frozen clock."""

pytest_plugins = ["tests.databases", "tests.shops"]
