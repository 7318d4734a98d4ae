"""Whether a task of asyncio was told to end, though the code that runs in it has not heard of it.

The one ``CancelledError`` of a cancel can get lost in a library: ``asyncio.wait_for`` of Python 3.11, by which
psycopg's pool waits for a connection, gives back one that comes at the same moment. The task goes on then, and whoever
waits for its end waits for ever. So whoever repeats work asks here before.
"""

from __future__ import annotations

import asyncio


def cancels() -> int:
    """How often the current task was cancelled so far: for :func:`heed_cancels`."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


def heed_cancels(since: int) -> None:
    """Ends the current task when it was cancelled after :func:`cancels` gave ``since``.

    Raises:
        CancelledError: it was.
    """
    if cancels() > since:
        raise asyncio.CancelledError
