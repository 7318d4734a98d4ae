"""Why a part of a package database, or a directory of packages, was not looked at. For ``search`` and modules."""

from __future__ import annotations

from mig_core.plugin.coverage import Reason

UNREADABLE = Reason("package database unreadable")
DAMAGED = Reason("record not understood")
TOO_LARGE = Reason("database too large")
TOO_MANY = Reason("too many packages")
DEPTH = Reason("directory too deep")
TIME = Reason("time ran out")
