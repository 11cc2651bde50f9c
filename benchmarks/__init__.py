"""
What things cost, measured and committed: ``python -m benchmarks.fold`` and its like.

Each script asks one question, in its first line. What is compared runs interleaved in one process,
so that a ratio survives a busy machine; absolute times are of the machine that the result names.
Results are in ``results/``, one file a question and day.
"""
