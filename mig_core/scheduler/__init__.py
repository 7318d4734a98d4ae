"""The scheduler: fans actions out into commands, collects answers, keeps the books.

``main`` is the program, ``service`` has its tasks, each one of ``loops``: ``fanout`` from actions to commands and to
the relays (``handed_over`` has what the books do not say yet), ``collector`` from answers (``reading`` says what they
amount to) to the books, ``periodic`` what time alone brings about, ``lost_commands`` what a relay has lost, ``places``
where agents receive at a relay. ``relay_watch`` tells when a relay is in trouble, ``check_setup`` what is wrong,
``metrics`` what was done. ``webhook`` tells others of ends. ``isolation`` keeps one thing that is at fault from holding
up the others.
"""
