"""One run of one module, in a process of its own.

The agent's side: ``launcher`` starts the ``zygote`` (a program, ``__main__``) and asks it for processes, ``executor``
runs an operation with its limits, ``ending`` says how that ended, ``frames`` is what travels between them;
``clean_environment`` is what of the agent's variables a module gets, ``strays`` ends what modules leave behind. The
module's side: ``child``, behind ``confinement``; ``environment`` gathers the endpoint's facts in such a process too.
``one_shot`` is ``mig-agent -m``: a module without an agent.
"""
