"""The built-in catalogue as a merchant writes it; what a checkout reads of it is in providers/builtin."""
