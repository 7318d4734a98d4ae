"""A PostgreSQL of MIG's own, for the demonstration and for tests.

``server`` runs it; ``cluster`` makes its files, ``programs`` finds PostgreSQL's programs, ``unprivileged`` finds an
account to run them where root may not, ``socket_folder`` a place whose path is short enough.
"""
