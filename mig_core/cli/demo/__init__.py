"""``mig demo``: a whole MIG on one machine, with real parts and generated keys, that answers the walk-through's
questions.

``site`` lays out files, ``platform`` is the parts together, ``processes`` runs them, ``story`` asks, ``command`` puts
them together.
"""
