"""``mig demo``: a whole MIG on one machine, with real parts and generated keys, that answers the walk-through's
questions.

``site`` lays out files, ``processes`` runs the parts, ``story`` asks, ``command`` puts them together.
"""
