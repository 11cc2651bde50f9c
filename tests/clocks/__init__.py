"""What is about real clocks and waits for them, so it runs when nothing else does."""
