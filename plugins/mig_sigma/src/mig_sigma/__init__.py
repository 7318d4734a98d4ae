"""The persistent module ``sigma``: a detector that evaluates Sigma rules over what other modules report.

``module`` is what the entry point names, ``columns`` are the rows of its answer, ``command`` are the words of ``mig
sigma`` that need no endpoint, ``settings`` reads the configuration.

From a rule to its evaluation: ``compiling`` reads Sigma's YAML with pySigma, where that is installed; ``rule`` is the
compiled form, which travels; ``catalogue`` says which events and fields there are; ``conditions`` turns a rule's tree
into a function, with ``expressions`` for regular expressions; ``guards`` says which texts an alert contains if a rule
matches it; ``matcher`` keeps many rules and asks few of them. ``loading`` finds the rules of the settings,
``temporary`` keeps those of signed actions until their window ends.

From an alert to a match: ``judging`` is the way, ``alert`` decodes what is asked for, ``events`` takes it apart into
what rules ask about, ``auditd`` for rules that name the records of the audit trail; ``lineage`` remembers who started
whom; ``watching`` puts it together, ``trial`` does the same with recorded alerts.
"""

from mig_sigma.module import SigmaModule

__all__ = ["SigmaModule"]
