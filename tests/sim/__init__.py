"""The long form of the seeded simulation, and the lines that replay one seed."""
