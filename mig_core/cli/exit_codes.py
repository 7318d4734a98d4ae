"""What ``mig`` tells the shell (documented in ``docs/command-line.md``)."""

ALL_ANSWERED = 0
"""Every target answered (with ``--exit-found``: and something was found)."""
ERROR = 1
"""Something went wrong (with ``--exit-found``: or nothing was found)."""
USAGE = 2
"""The command line cannot be understood: an option, a module's parameter, the target."""
INCOMPLETE = 3
"""Some targets did not answer, or could not do their work."""
REFUSED = 4
"""The platform (a permission or a signature is missing), or every target, said no."""
INTERRUPTED = 130
"""Ctrl-C."""
