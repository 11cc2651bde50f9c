"""
The command line: arguments in, text out. One file per verb; ``app.py`` puts them together.

The demo is ``demo.py`` (the parent, which steers), ``demo_worker.py`` (its children), ``agent.py``
with ``directory.py`` and ``offline.py`` (what they run), and ``demo_report.py`` (what is shown).
"""
