"""Why the ``file`` module left something out, beside the reasons that all modules share (``mig_endpoint.coverage``)."""

from __future__ import annotations

from mig_core.plugin.coverage import Reason

DEPTH = Reason("below maxdepth", as_asked=True)
NOT_EXPANDED = Reason("path with wildcards that were taken literally")
"""Booked only where the original's answers are kept; elsewhere they are expanded."""
NOT_READ = Reason("content of a special file")
LONG_LINE = Reason("line too long to be judged as a whole")
CONTRADICTION = Reason("search that no file can pass")
OTHER_KIND = Reason("entry of that name that is no file (ask for its type)", as_asked=True)
OTHER_KIND_EXACT = Reason("entry of exactly that name that is no file (ask for its type)")
"""Booked only where the original's answers are kept; elsewhere such an entry is found."""
NO_BIRTH = Reason("time of birth that is not kept")
UNKNOWN_NAME = Reason("owner that the endpoint's files do not know")
"""Booked where the endpoint has a name service, which is not asked."""
NO_FILTER = Reason("search without any filter")
