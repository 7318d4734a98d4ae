"""The persistent module ``audit``: the kernel's audit trail as whole, readable events.

``module`` is what the entry point names. From there down: ``settings`` reads the configuration, ``ruleset`` the rules
(``rule_line`` in auditctl's syntax, ``rule_json`` in the original's), ``watch`` puts a running watch together.

The way of a record: ``reader`` takes it from the socket of the ``registration`` (``netlink``, ``receive``),
``assembly`` joins the records of one event, ``event`` gives the event its shape, with ``record``, ``process``,
``address``, ``accounts``, ``container`` and ``tables``. ``losses`` counts what did not make it.
"""

from mig_audit.module import AuditModule

__all__ = ["AuditModule"]
