"""The agent: verifies what investigators sign, runs modules in child processes, answers with its own signature.

``main`` is the program, ``service`` says which threads there are, ``commands`` what happens to one command and in which
order.
"""
