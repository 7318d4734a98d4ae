"""The persistent module ``audit``: the kernel's audit trail as whole, readable events.

``module`` is what the entry point names, ``columns`` are its row's. From there down: ``settings`` reads the
configuration, ``ruleset`` the rules (``rule_line`` in auditctl's syntax, ``rule_json`` in the original's; each a
``rule`` with ``rule_fields``), ``places`` what the paths in a rule are just now, ``loading`` keeps the rules in the
kernel true to that. ``watch`` puts a running watch together.

The way of a record: ``reader`` takes it from the socket of the ``registration`` (``kernel``, ``netlink``, ``receive``),
``assembly`` joins the records of one event, ``event`` gives the event its shape, with ``record``, ``process``,
``execve``, ``address``, ``accounts``, ``container`` and ``tables``, ``whole`` says whether all its records are there,
and ``size`` keeps it within a line. ``losses`` counts what did not make it, ``note`` remembers across a sudden end.
"""

from mig_audit.module import AuditModule

__all__ = ["AuditModule"]
