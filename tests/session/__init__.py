"""Tests of the facade and of the runtime under it, through the public names, on real stores."""
