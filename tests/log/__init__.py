"""The log: what every store owes, what SQLite adds, and what loading refuses."""
