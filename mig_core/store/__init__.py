"""The books: PostgreSQL, and the only place with SQL.

``base`` says what the store does for API and scheduler; ``postgres`` is the composition of the files that do it.
``embedded`` is a server to run it on where none is at hand.
"""
