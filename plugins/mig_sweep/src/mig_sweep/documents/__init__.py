"""Documents that indicators are read from: ``stix`` bundles with their ``patterns``, ``misp`` events, ``openioc``,
``lists`` and tables, ``advisories`` and ``inventories`` of packages, and YARA rules as they are. ``reading`` finds out
which it is; ``fields`` is what those in JSON have in common, ``elements`` what those in XML have.

Documents come from strangers: they are read within bounds, and what cannot be asked becomes an indicator with the
reason, never silence.
"""
