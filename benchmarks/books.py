"""The books of a large fleet: a hundred thousand agents and twenty million commands in a real database.

``python -m benchmarks.books`` fills a PostgreSQL of its own by COPY, and then asks what the platform asks, through the
store: fan-out of one action to all, pages, dashboard, answers, retention while others read. ``--scale 0.05`` runs with
a twentieth of both. Ends with status 1 when a goal is missed at full scale.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import os
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.books_filling import BYTES_A_COMMAND, PERIOD, Filled, fill, read_filled
from benchmarks.tables import print_table
from benchmarks.usage import usage_of
from mig_core.domain.target import parse_target
from mig_core.store.embedded.server import EmbeddedPostgres
from mig_core.store.encoding import write_cursor
from mig_core.store.migrate import upgrade
from mig_core.store.postgres import PostgresStore
from mig_core.testing.store_samples import LEASE, action, answer, module_result, scheduled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mig_core.domain.action import Action
    from mig_core.domain.result import Answer

AGENTS, COMMANDS = 100_000, 20_000_000
GOALS = {"fan-out": 10.0, "page": 0.05, "dashboard": 0.1}
"""Seconds."""
_RUNS = 21


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.books", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of agents and commands (default: 1)")
    parser.add_argument("--commands", type=int, help="so many commands, whatever the scale (default: 20 million)")
    parser.add_argument("--state", type=Path, help="a folder with room (default: a temporary one); removed at the end")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="fill only, and keep the database in this new folder")
    parser.add_argument(
        "--from", type=Path, metavar="DIR", dest="kept", help="measure in the database that --keep made"
    )
    parser.add_argument("--leave", type=float, default=5.0, help="GB to leave free: fewer commands then (default: 5)")
    options = parser.parse_args(arguments)
    agents, commands = int(AGENTS * options.scale), options.commands or int(COMMANDS * options.scale)
    if options.kept is not None:
        # Of twelve weeks the oldest one goes each time.
        return _measured(options.kept, None, forget=timedelta(weeks=1))
    with contextlib.ExitStack() as stack:
        folder = options.keep
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mig-books-", dir=options.state)))
        else:
            folder.mkdir(parents=True)
        needed, free = commands * BYTES_A_COMMAND * 1.2 + options.leave * 1e9, shutil.disk_usage(folder).free
        if free < needed:
            print(f"books: {needed / 1e9:.0f} GB are needed in {folder}, {free / 1e9:.0f} GB are free", file=sys.stderr)
            return 2
        filling = functools.partial(_fill, agents=agents, commands=commands, folder=folder, leave=options.leave)
        if options.keep is None:
            return _measured(folder, filling, forget=PERIOD / 2)
        with EmbeddedPostgres(folder / "postgres") as server:
            upgrade(server.url())
            filling(server)
    return 0


def _fill(server: EmbeddedPostgres, *, agents: int, commands: int, folder: Path, leave: float) -> Filled:
    # Loading is not what is measured; everything else is PostgreSQL's own default.
    server.run_sql("ALTER SYSTEM SET max_wal_size = '4GB'; SELECT pg_reload_conf()")
    began = time.monotonic()
    has_room = lambda: shutil.disk_usage(folder).free > leave * 1e9  # noqa: E731 - a name for what it says
    filled = fill(server.url(), agents, commands, _progress, has_room)
    _progress(f"filled in {time.monotonic() - began:.0f} s")
    return filled


def _measured(folder: Path, filling: Callable[[EmbeddedPostgres], Filled] | None, *, forget: timedelta) -> int:
    """Starts the server in a folder, and ends it. The schema of a database that was kept becomes this build's."""
    with EmbeddedPostgres(folder / "postgres") as server:
        upgrade(server.url())
        filled = filling(server) if filling is not None else read_filled(server.url())
        print(
            f"{filled.agents} agents, {filled.commands} commands of {len(filled.actions)} actions"
            f" ({filled.agents / AGENTS:.0%} of the agents, {filled.commands / COMMANDS:.0%} of the commands)"
        )
        full = filled.agents >= AGENTS
        return asyncio.run(_measure(server.url(), filled, server.pid or 0, forget=forget, full=full))


async def _measure(url: str, filled: Filled, pid: int, *, forget: timedelta, full: bool) -> int:
    missed = []
    async with PostgresStore(url, pool_size=4) as store:
        # 1. One action to all.
        now = datetime.now(UTC)
        asked = action(f"to all, {now}", target="status = 'online'")
        await scheduled(store, asked)
        used, began = usage_of([pid]).cpu, time.monotonic()
        made = await store.actions.fan_out(asked.id, parse_target(asked.target), now=now)
        assert made is not None
        assert made.count == filled.agents
        fan_out, used = time.monotonic() - began, usage_of([pid]).cpu - used
        sent, answered = await _carried_on(store, asked, now)
        rows = [["fan-out of one action to all", f"{fan_out:.2f} s", "", f"{GOALS['fan-out']:.0f} s"]]
        if fan_out > GOALS["fan-out"]:
            missed.append("fan-out")
        rows += [
            ["of it, PostgreSQL's processor", f"{used:.2f} s", "", ""],
            ["handed over, commands a second", f"{sent:.0f}", "", ""],
            ["answers recorded a second", f"{answered:.0f}", "", ""],
        ]
        # 2. What people look at, that action half answered.
        for name, goal, look in _looks(store, filled, asked, now):
            first, median = await _timed(look)
            rows.append([name, f"{median * 1000:.1f} ms", f"{first * 1000:.1f} ms", f"{goal * 1000:.0f} ms"])
            if median > goal:
                missed.append(name)
        # 3. Its window ends, and nobody has answered the rest.
        rows.append(["closed by their window's end, commands a second", f"{await _expired(store, now):.0f}", "", ""])
        print_table("through the store", ["", "median", "first", "goal"], rows)
        # 4. What is old goes, while others read and record.
        oldest = (await store.actions.get(filled.actions[0])).created_at
        print_table("retention", ["", ""], await _retention(store, url, filled, oldest + forget))
    print_table("on disk", ["", "bytes a command"], filled.sizes(url))
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}")
    if missed:
        print(f"goals missed: {', '.join(missed)}")
    return 1 if missed and full else 0


def _looks(
    store: PostgresStore, filled: Filled, asked: Action, now: datetime
) -> list[tuple[str, float, Callable[[], Awaitable[object]]]]:
    page, old, agent = GOALS["page"], filled.actions[len(filled.actions) // 2], filled.agent_ids[filled.agents // 2]
    middle = write_cursor(f"agent{filled.agents // 2:05}", "")

    async def next_page() -> None:
        nonlocal middle
        _, middle = await store.commands.list(old, limit=100, cursor=middle)

    debian = parse_target("environment.os = 'linux' AND tags.operator = 'it'")
    return [
        ("actions, first page", page, lambda: store.actions.list(limit=50)),
        ("the action under way", page, lambda: store.actions.get(asked.id)),
        ("results of an old action, a page in its middle", page, next_page),
        ("results of the action under way, a page", page, lambda: store.commands.list(asked.id, limit=100)),
        ("results of one that found, a page", page, lambda: store.commands.list(old, found=True, limit=100)),
        ("the same of one where nobody found", page, lambda: store.commands.list(asked.id, found=True, limit=100)),
        ("one agent's answer", page, lambda: store.commands.get(old, agent, proof=True)),
        ("one agent's history, a page", page, lambda: store.commands.history(agent, limit=50)),
        (
            "followers: fifty answers on",
            page,
            lambda: store.commands.finished_since(asked.id, position="500", limit=50),
        ),
        ("agents, first page", page, lambda: store.agents.list(now=now, limit=100)),
        ("agents by target, first page", page, lambda: store.agents.list(target=debian, now=now, limit=100)),
        ("dashboard", GOALS["dashboard"], lambda: store.numbers.dashboard(now)),
    ]


async def _timed(look: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """The first time, and the median of all."""
    times = []
    for _ in range(_RUNS):
        began = time.monotonic()
        await look()
        times.append(time.monotonic() - began)
    return times[0], statistics.median(times)


async def _carried_on(store: PostgresStore, asked: Action, now: datetime) -> tuple[float, float]:
    """Marks all as handed over and answers half of them; commands and answers a second."""
    began, count = time.monotonic(), 0
    while batch := await store.commands.claim_unsent(["https"], limit=500, lease=LEASE, now=now):
        await store.commands.mark_sent([one.id for one in batch], now)
        count += len(batch)
    sent = count / (time.monotonic() - began)
    answers: list[Answer] = []
    cursor = ""
    while len(answers) < count // 2:
        some, cursor = await store.commands.list(asked.id, cursor=cursor, limit=min(1000, count // 2 - len(answers)))
        answers += [answer(one, results=[module_result(found=False)]) for one in some]
    began = time.monotonic()
    for start in range(0, len(answers), 200):
        await store.commands.record(answers[start : start + 200], now)
    return sent, len(answers) / (time.monotonic() - began)


async def _expired(store: PostgresStore, now: datetime) -> float:
    """Ends all that is open, as at the end of its window; commands and actions a second."""
    began, count = time.monotonic(), 0
    while closed := await store.actions.expire(now=now, grace=timedelta(0)):
        count += closed
    await store.actions.settle(now)
    return count / (time.monotonic() - began)


async def _retention(store: PostgresStore, url: str, filled: Filled, until: datetime) -> list[list[str]]:
    """Forgets what ended before a moment, while pages are read and actions are asked."""
    now = datetime.now(UTC)
    waits: list[float] = []
    done = asyncio.Event()

    async def others() -> None:
        number = 0
        while not done.is_set():
            began = time.monotonic()
            await store.commands.list(filled.actions[-1], limit=100)
            await store.actions.create(
                action(f"meanwhile, {now}, {number}"), b"e", signers=[filled.signer], state=filled.pending, now=now
            )
            waits.append(time.monotonic() - began)
            number += 1

    before = filled.bytes_on_disk(url)
    reading = asyncio.create_task(others())
    await asyncio.sleep(1.0)
    usual = statistics.median(waits)
    began = time.monotonic()
    forgotten = await store.actions.forget(before=until)
    took = time.monotonic() - began
    done.set()
    await reading
    after = filled.bytes_on_disk(url)
    return [
        ["actions forgotten", str(forgotten)],
        ["seconds", f"{took:.2f}"],
        ["GB given back", f"{(before - after) / 1e9:.2f} of {before / 1e9:.2f}"],
        [
            "a page and a new action meanwhile: median before, worst during",
            f"{usual * 1e3:.0f} ms, {max(waits) * 1e3:.0f} ms",
        ],
    ]


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
