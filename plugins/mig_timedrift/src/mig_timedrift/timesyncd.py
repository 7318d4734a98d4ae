"""What systemd-timesyncd leaves to be seen: whether and when it set the clock last.

It would say more over D-Bus, and asking there may start it. Source: systemd-timesyncd.service(8) (FILES). systemd makes
the folder when it starts the service and removes it at its end; the file is touched at each synchronization.
"""

from __future__ import annotations

import os

from mig_timedrift.reading import Reading

FOLDER = "/run/systemd/timesync"


def reading(folder: str = FOLDER) -> Reading | None:
    """When it synchronized the clock last; None if it does not run.

    Raises:
        OSError: it runs, and that cannot be seen.
    """
    try:
        os.stat(folder)
    except FileNotFoundError:
        return None
    try:
        updated = os.stat(f"{folder}/synchronized").st_mtime
    except FileNotFoundError:
        return Reading(source="timesyncd", synchronized=False, problem="has not synchronized since it was started")
    return Reading(source="timesyncd", synchronized=True, updated=updated, problem="does not tell an offset")
