"""The kit that hosts test with is tested too: above all, that it fails."""
