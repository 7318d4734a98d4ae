"""What ``tools/compose-test`` checks: ``engine`` drives the containers, ``program`` says in which order.

``questions``, ``trail``, ``outages``, ``volumes`` and ``standalone`` hold the checks, one subject each.
"""
