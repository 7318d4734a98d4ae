"""Why a part of a package database, or a directory of packages, was not looked at. For ``search`` and modules."""

from __future__ import annotations

from mig_core.plugin.coverage import Reason

UNREADABLE = Reason("package database unreadable")
DAMAGED = Reason("record not understood")
TOO_LARGE = Reason("database too large")
TOO_MANY = Reason("too many packages")
DEPTH = Reason("directory too deep")
TIME = Reason("time ran out")
NOT_WALKED = Reason("directory not gone into")
"""There was no room for it: naming it as a path has it looked at."""
NOT_NAMED = Reason("rest of the system, paths were named", as_asked=True)
NETWORK = Reason("network file system not gone into")
OTHER_SYSTEM = Reason("files of containers", as_asked=True)
NOT_INSTALLED = Reason("copy that is not installed", as_asked=True)
