"""The command line: ``mig`` for investigators, ``mig-admin`` for operators, ``mig demo`` for newcomers.

``main`` is where ``mig`` begins: a question that is typed without faults is read by ``plain_question`` and asked, all
else is typer's, in ``root``. Each command lives in a file of its own and is imported when it is called.
"""
