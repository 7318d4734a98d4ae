"""How fast ``sigma`` is: see ``speed``."""
