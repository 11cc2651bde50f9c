"""The tests, in the layout of the package they are about."""
