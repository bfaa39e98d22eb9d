"""The load scenarios: Till against a floor app on the same server and database, printed as ratios."""
