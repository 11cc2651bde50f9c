"""A process dies at every place where one can die, for real, and another one goes on."""
