"""
The log: where streams are kept. Facts, bodies, head rows, index and activity, in one transaction.

``port.py`` says what a log does; ``appends.py`` turns facts into what a store writes;
``loading.py`` folds a stream and checks every byte on the way; ``stores/`` holds the backends, the
only place that knows ``eventsourcing``.
"""
