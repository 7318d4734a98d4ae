"""``mig-console``: looking around on the platform, one line after the other, logged in once.

``main`` puts it together, ``session`` understands lines, ``views`` prints, ``prompt`` reads from a terminal. It
changes nothing; questions are asked with ``mig``.
"""
