"""A running watch: marks, reader, pending paths, baseline and alerts put together. The composition root of ``serve``.

Two threads: the reader (see there) and this one, which looks at paths and tells what changed. The rule that nothing is
lost by: a change goes into the baseline only after its alert was taken.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from mig_core.errors import MigError
from mig_core.plugin.coverage import Tally
from mig_endpoint.files.mounts import read_mounts
from mig_endpoint.files.naming import PathText, join
from mig_fswatch import baseline as baselines
from mig_fswatch import events, managers, settings as settings_
from mig_fswatch.answers import Answers, State
from mig_fswatch.changes import Change, with_moves
from mig_fswatch.comparison import Comparison
from mig_fswatch.entry import Looker
from mig_fswatch.marks import Marks
from mig_fswatch.notice import What
from mig_fswatch.packages import Runs
from mig_fswatch.pending import Pending
from mig_fswatch.places import patterns_of
from mig_fswatch.reader import Reader
from mig_fswatch.scan import LinksAside, why_not
from mig_fswatch.scope import Exclusions, Finder, Scope
from mig_fswatch.telling import Telling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.domain.document import JSON
    from mig_core.plugin.persistent import Service
    from mig_fswatch.actors import Actor
    from mig_fswatch.notice import Notice, Source
    from mig_fswatch.pending import Waiting

TICK = 1.0
ROUND = 5000
"""Paths looked at in one round."""
AT_ONCE = 20_000
"""Notices heeded before paths are looked at."""
LAST_LOOK = 1.0
"""Seconds for what is pending when the module is to stop."""
