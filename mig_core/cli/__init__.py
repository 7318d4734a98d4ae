"""The command line: ``mig`` for investigators, ``mig-admin`` for operators, ``mig demo`` for newcomers.

``main`` is the root; each command lives in a file of its own and is imported when it is called.
"""
