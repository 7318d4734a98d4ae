"""The agent: verifies what investigators sign, runs modules in child processes, answers with its own signature.

``main`` is the program, ``service`` says which threads there are, ``commands`` what happens to one command and in which
order (``claims`` what an action says of itself), ``execution`` what comes of its operations, ``answering`` how an
answer is given, ``sending`` how it reaches the relay (``current_relay``); ``daemon`` composes all of it,
``check_setup`` tries the settings without running anything, ``ownership`` says who else could write what the agent
believes, ``trust`` what it believes now, ``reload`` what changed here while it ran, ``state_directory`` opens where it
keeps what it knows, ``authority`` asks :mod:`mig_core.authorization` with what this endpoint knows, ``counters``
counts, ``metrics_file`` tells Prometheus. The rest stands in rooms:

* ``operations``: a module's run in a process of its own, from the zygote to the answer
* ``persistent``: modules that run all the time, and their supervisor
* ``alerts``: the way of an alert from a persistent module to the one that forwards it
* ``platform``: what the agent tells the platform about itself, and how it reaches it
* ``records``: what the agent keeps on disk: journal, spool, ledger
* ``extending``: ``mig-agent plugins``: what is added to an installed agent

The rooms ``records``, ``alerts``, ``extending``, ``platform`` and ``operations`` know no other; ``persistent`` knows
``alerts`` and ``operations``; only this folder's own files know them all (``[tool.importlinter]`` in
``pyproject.toml``).
"""
