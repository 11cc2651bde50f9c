"""
The codec: events to stored bytes and back, byte for byte the same on every machine.

``wire_names.py`` holds every stored name; ``records.py`` the record format (header, digests,
chain); ``shapes.py`` the conversion of values; ``contents.py`` that of bodies; ``upcast.py`` what
older shapes become.
"""
