#!/bin/sh
# psycopg before 3.3.6 loses a cancel on Python 3.11: a task that waits for notifications goes on for ever when it is cancelled
# in the moment in which one arrives. asyncio.wait_for, which psycopg used for each wait, gives the result then and swallows the
# CancelledError (Python before 3.12). A server that cancels its listener and waits for its end hangs now and then.
# Exits 1 when 3.3.5 does not lose it any more, or 3.3.6 does. Needs Python 3.11.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$(command -v python3.11 || command -v python3)
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "needs Python 3.11"; exit 2; }
cat > "$work/lost.py" <<'END'
import asyncio
import socket
import sys

import psycopg
from psycopg.waiting import Ready, Wait, wait_async


async def listen(ours):
    """What AsyncConnection.notifies does, in short: waits for the socket, with an interval, again and again."""

    def once():
        ready = Ready.NONE
        while ready == Ready.NONE:
            ready = yield Wait.R
        ours.recv(100)

    while True:
        await wait_async(once(), ours.fileno(), 1.0)


async def goes_on(ticks):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    task = asyncio.create_task(listen(ours))
    await asyncio.sleep(0.05)
    theirs.send(b"x")  # a notification arrives,
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()  # and about then the task is cancelled
    await asyncio.wait({task}, timeout=2.5)
    ended = task.done()
    task.cancel()
    await asyncio.wait({task}, timeout=2.5)
    ours.close()
    theirs.close()
    return not ended


async def main():
    answers = [await goes_on(ticks) for ticks in range(6)]
    print(f"Python {sys.version.split()[0]}, psycopg {psycopg.__version__}: cancelled 0 to 5 turns of the loop after the byte,")
    print(f"  the task goes on: {answers}")
    sys.exit(any(answers))


asyncio.run(main())
END
"$python" -m venv "$work/3.3.5"
"$work/3.3.5/bin/pip" install -q --disable-pip-version-check 'psycopg[binary]==3.3.5' 2>/dev/null
"$python" -m venv "$work/3.3.6"
"$work/3.3.6/bin/pip" install -q --disable-pip-version-check 'psycopg[binary]==3.3.6' 2>/dev/null
if "$work/3.3.5/bin/python" "$work/lost.py"; then echo "3.3.5 ends it"; exit 1; fi
"$work/3.3.6/bin/python" "$work/lost.py" || { echo "3.3.6 loses it"; exit 1; }
