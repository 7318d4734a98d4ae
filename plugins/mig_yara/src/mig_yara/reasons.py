"""Why the ``yara`` module left something out, beside the reasons that all modules share (``mig_endpoint.coverage``)."""

from __future__ import annotations

from mig_core.plugin.coverage import Reason

SLOW = Reason("not judged: the rules took longer than the time limit")
BROKEN = Reason("not judged: the engine broke off")
MANY = Reason("pattern with more matches than are counted")
NOT_IN_PIECES = Reason("rule that cannot be asked of memory, which is seen in pieces")
TOO_LARGE = Reason("rule that cannot be asked of a file too large to be held, which is seen in pieces")
NO_UPPER_LENGTH = Reason("rule with a pattern without an upper length: in pieces it is looked for within 64 KiB")
DOUBTFUL = Reason("rule whose match in pieces could not be confirmed")
MEMBER_TOO_LARGE = Reason("member of an archive that is too large to be held")
MEMBER_NOT_UNPACKED = Reason("member of an archive, encrypted or packed in a way that is not known")
MEMBER_DAMAGED = Reason("damaged member of an archive")
ASKER = Reason("memory of a process that handles this question", as_asked=True)
FULL = Reason("match not returned: the answer is full")
TIME = Reason("process not looked at to the end: time ran out")
