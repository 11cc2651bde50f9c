"""The command line: arguments in, text out. One file per verb; ``app.py`` puts them together."""
