"""Where alerts go. ``base`` is what a sink promises; each other file is one kind, ``factory`` chooses among them."""
