"""Why part of a search was left out; :mod:`mig_endpoint.processes.reasons` has what looking at processes gives."""

from __future__ import annotations

from mig_core.plugin.coverage import Reason

TIME = Reason("process not looked at to the end: time ran out")
FULL = Reason("match not returned: the answer is full")
NO_CHECK = Reason("search without any check")
ASKER = Reason("memory of a process that handles this question", as_asked=True)
