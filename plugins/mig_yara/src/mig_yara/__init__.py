"""The `yara` module: YARA rules in files, in members of archives, and in the memory of processes.

``module`` is what the entry point names. What is asked: ``declaration`` (parameters), ``question`` (typed), with the
original's ``filespec``. Rules: ``source`` reads their text (``expressions`` what is in regular ones), ``rules`` has it
compiled, ``differences`` says what YARA 4 would judge otherwise, ``piecewise`` which rules may be asked of what is
never seen as a whole. Looking: ``files`` and ``archived`` members, ``memory`` by ``window``; ``engine`` scans what is
there as a whole, ``pieces`` what is not. The answer: ``rows`` of ``columns``, ``reasons``. It looks with
``mig_endpoint.finding`` and ``mig_endpoint.processes``.
"""

from mig_yara.module import YaraModule

__all__ = ["YaraModule"]
