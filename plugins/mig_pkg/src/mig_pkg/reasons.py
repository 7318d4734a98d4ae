"""Why packages were not looked at: what only this module can say; the rest is :mod:`mig_endpoint.packages.reasons`."""

from __future__ import annotations

from mig_core.plugin.coverage import Reason
from mig_endpoint.packages.reasons import DAMAGED, DEPTH, TIME, TOO_LARGE, TOO_MANY, UNREADABLE

__all__ = [
    "DAMAGED",
    "DEPTH",
    "FAILED",
    "FULL",
    "NOT_ASKED_FOR",
    "NOT_READ",
    "NO_DIRECTORY",
    "NO_MANAGER",
    "NO_ORDER",
    "NO_PACKAGES",
    "REPEATED",
    "TIME",
    "TOO_LARGE",
    "TOO_MANY",
    "UNREADABLE",
]

NO_MANAGER = Reason("no package manager found")
NOT_ASKED_FOR = Reason("package manager not on the PATH")
NOT_READ = Reason("packages of a manager that is not known here")
NO_DIRECTORY = Reason("no directory of packages found")
NO_PACKAGES = Reason("no installed package found in any database")
FAILED = Reason("package manager failed")
NO_ORDER = Reason("version could not be compared")
FULL = Reason("answer full")
REPEATED = Reason("package recorded twice")
