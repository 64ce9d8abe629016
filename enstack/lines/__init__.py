"""Which lines of a function tell a model most, by several methods."""
