"""``mig web``: the investigator's page, on the investigator's own machine.

``command`` is ``mig web``; ``server`` listens on 127.0.0.1 and serves the ``app``, whose every request passes the
``gate``, which asks ``neighbours`` whose process it is that connects. ``site`` is the state of the process, all of it
in memory: the connection to the platform, what is ready to be signed, the actions that are being watched
(``following``). ``pages`` has a file a page, ``templates`` makes HTML of what they give it and ``listing`` goes through
long lists; ``assets`` are files that browsers fetch. ``forms`` makes fields of what modules declare, ``drafts``
questions (``question``) of filled-in forms, ``signing`` shows what will be signed; ``rows`` reads what is wanted of
answers out of an address, ``statebar`` is the bar of an action. ``pipe`` reaches a page whose port cannot be reached.
``waiting`` is what browsers get while the platform says nothing. Nothing of this is imported on an endpoint.
"""
