"""The command line: the demo and its tools, and the verbs, through real processes."""
