"""How fast ``mig web`` is: ``python -m plugins.mig_web.benchmarks.page``, with a real platform and Debian's chromium.

* how long it takes to be ready, and what memory it needs then and at the end;
* the first paint of the fleet, of 10,000 agents, by the browser's own clock;
* what an action costs on which 500 answers a second arrive: processor of the page's main thread (by the browser's own
  count), of the whole browser, and of ``mig web``. The answers are put into the books as the scheduler writes them.

Ends with status 1 when a goal is missed. Times on the clock are worth what the machine is idle: the load is printed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg
from playwright.sync_api import sync_playwright

from benchmarks.tables import print_table
from mig_core.cli.demo.platform import Platform
from mig_core.cli.demo.processes import program
from mig_core.cli.demo.site import Site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser, Page

GOAL_READY = 0.7
GOAL_MEMORY = 60.0
GOAL_PAINT = 300.0
GOAL_SHARE = 0.30
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
_PAINTED = """() => new Promise((done) => new PerformanceObserver((list) => {
    const found = list.getEntriesByName("first-contentful-paint")[0];
    if (found) done(found.startTime);
}).observe({ type: "paint", buffered: true }))"""
_AGENTS = """
    INSERT INTO agents (id, name, shown_name, public_key, status, relay, version, mode, pid, environment, tags,
                        addresses, modules, failures, heartbeat_at, enrolled_at, enrolment_sent_at)
    SELECT 'b' || lpad(translate(n::text, '0189', 'abcd'), 31, 'z'), 'sim' || lpad(n::text, 6, '0'),
           'sim' || lpad(n::text, 6, '0'), decode(md5(n::text) || md5(n::text || 'x'), 'hex'), 'offline', 'https',
           '0.2.0', 'daemon', 1, '{"os": "linux", "arch": "amd64", "ident": "Debian 12 bookworm"}', '{"role": "web"}',
           '{}', '{file}', '{}', now() - n * interval '8 seconds', now(), now()
      FROM generate_series(1, %s) AS n
"""
_SOME_ANSWERS = """
    WITH locked AS (SELECT id, closed FROM actions WHERE id = %(action)s FOR NO KEY UPDATE),
    open AS (SELECT id, row_number() OVER (ORDER BY id) AS number FROM (
        SELECT id FROM commands WHERE action_id = %(action)s AND position IS NULL ORDER BY id LIMIT %(some)s) AS few),
    answered AS (UPDATE commands c SET state = 'success', found = true, complete = true, sent_at = now(),
                        finished_at = now(), position = locked.closed + open.number, results = made.results,
                        results_size = length(made.results::text)
        FROM open, locked, LATERAL (SELECT jsonb_build_array(jsonb_build_object('foundanything', true, 'success', true,
            'errors', null, 'statistics', '{}'::jsonb, 'coverage', jsonb_build_object('complete', true,
            'examined', jsonb_build_object('files', 100), 'skipped', '[]'::jsonb), 'elements', jsonb_build_object('s1',
            jsonb_build_array(jsonb_build_object('file', '/etc/motd', 'fileinfo', jsonb_build_object('size', 9))))))
            AS results) AS made
        WHERE c.id = open.id RETURNING c.id)
    UPDATE actions a SET closed = a.closed + n.number, final_found = coalesce(a.final_found, 0) + n.number,
        final_counts = coalesce(a.final_counts, '{}') || jsonb_build_object('success',
        coalesce((a.final_counts->>'success')::bigint, 0) + n.number)
      FROM (SELECT count(*) AS number FROM answered) AS n WHERE a.id = %(action)s RETURNING n.number
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs all of it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m plugins.mig_web.benchmarks.page", description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=7, help="of what is timed (default: 7)")
    parser.add_argument("--rate", type=int, default=500, help="answers a second (default: 500)")
    parser.add_argument("--seconds", type=float, default=15, help="for which they arrive (default: 15)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="mig-page-") as folder, Platform(Site(Path(folder), "https")) as platform:
        settings, data = str(platform.site.client_settings), platform.site.folder("investigator", "data")
        environment = {**os.environ, "MIG_CONFIG": settings, "XDG_DATA_HOME": str(data), "XDG_STATE_HOME": str(data)}
        with psycopg.connect(platform.postgres.url(), autocommit=True) as books:
            books.execute("ALTER TABLE agents DISABLE TRIGGER USER")
            books.execute(_AGENTS, (options.agents,))
            books.execute("ALTER TABLE agents ENABLE TRIGGER USER")
            books.execute("ANALYZE agents")
            ready = [_until_ready(environment) for _ in range(options.runs)]
            rows = _in_a_browser(platform, environment, books, options)
    clock, processor = zip(*ready, strict=True)
    rows.insert(0, ("ready, seconds (median)", statistics.median(clock), GOAL_READY))
    rows.insert(1, ("ready, seconds of a processor (median)", statistics.median(processor), None))
    print_table(
        f"mig web (load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors)",
        ("what", "measured", "goal"),
        [(name, f"{value:.2f}", "" if goal is None else f"< {goal:g}") for name, value, goal in rows],
    )
    return 1 if any(goal is not None and value > goal for _, value, goal in rows) else 0


def _started(environment: dict[str, str]) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [program("mig"), "web", "--no-open", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def _until_ready(environment: dict[str, str]) -> tuple[float, float]:
    began = time.monotonic()
    process, _ = _started(environment)
    taken = time.monotonic() - began, _cpu([psutil.Process(process.pid)])
    process.terminate()
    process.communicate()
    return taken


def _in_a_browser(
    platform: Platform,
    environment: dict[str, str],
    books: psycopg.Connection[tuple[object, ...]],
    options: argparse.Namespace,
) -> list[tuple[str, float, float | None]]:
    process, address = _started(environment)
    program_of = psutil.Process(process.pid)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(ARGUMENTS))
            page = browser.new_page()
            page.goto(address)
            memory = program_of.memory_info().rss / (1 << 20)
            origin = address.partition("/?")[0]
            paints, empty = [], []
            for _ in range(options.runs):
                paints.append(_paint(page, f"{origin}/"))
                empty.append(_paint(page, f"{origin}/nowhere"))
            rows: list[tuple[str, float, float | None]] = [
                ("memory after the first page, MiB", memory, GOAL_MEMORY),
                ("first paint of the fleet, milliseconds (median)", statistics.median(paints), GOAL_PAINT),
                ("first paint of a page with nothing in it", statistics.median(empty), None),
            ]
            rows += _live(page, browser, program_of, environment, books, options, origin)
            rows.append(("memory at the end, MiB", program_of.memory_info().rss / (1 << 20), None))
            browser.close()
    finally:
        process.terminate()
        process.communicate()
    return rows


def _paint(page: Page, address: str) -> float:
    page.goto("about:blank")
    page.goto(address)
    return float(page.evaluate(_PAINTED))


def _live(
    page: Page,
    browser: Browser,
    program_of: psutil.Process,
    environment: dict[str, str],
    books: psycopg.Connection[tuple[object, ...]],
    options: argparse.Namespace,
    origin: str,
) -> list[tuple[str, float, float | None]]:
    words = ["file", "-t", "name LIKE 'sim%'", "-path", "etc", "-name", "^motd$", "-e", "1h", "--detach"]
    ran = subprocess.run([program("mig"), *words], env=environment, capture_output=True, text=True, check=True)
    action = ran.stdout.strip()
    while books.execute("SELECT state FROM actions WHERE id = %s", (action,)).fetchone() != ("inflight",):
        time.sleep(0.1)
    page.goto(f"{origin}/actions/{action}")
    page.wait_for_load_state("load")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    answered = [0]
    stop = threading.Event()
    feeder = threading.Thread(target=_feed, args=(books, action, options.rate, stop, answered))
    chromium = [one for one in psutil.Process().children(recursive=True) if "chromium" in one.name()]
    before = (_main_thread(session), _cpu(chromium), _cpu([program_of]), time.monotonic())
    feeder.start()
    page.wait_for_timeout(options.seconds * 1000)
    taken = time.monotonic() - before[3]
    after = (_main_thread(session), _cpu(chromium), _cpu([program_of]))
    stop.set()
    feeder.join()
    shown = page.locator(".legend").inner_text()
    sys.stderr.write(f"{answered[0]} answers in {taken:.1f} s; the page: {' / '.join(shown.splitlines())}\n")
    return [
        ("answers a second", answered[0] / taken, None),
        ("the page's main thread, share of a processor", (after[0] - before[0]) / taken, GOAL_SHARE),
        ("the whole browser, share of a processor", (after[1] - before[1]) / taken, None),
        ("mig web, share of a processor", (after[2] - before[2]) / taken, None),
    ]


def _feed(
    books: psycopg.Connection[tuple[object, ...]], action: str, rate: int, stop: threading.Event, answered: list[int]
) -> None:
    began, given = time.monotonic(), 0
    while not stop.wait(0.2):
        some = int((time.monotonic() - began) * rate) - given
        given += some
        row = books.execute(_SOME_ANSWERS, {"action": action, "some": some}).fetchone()
        answered[0] += int(str(row[0])) if row else 0
        books.execute("SELECT pg_notify('mig_action', %s)", (action,))


def _main_thread(session: object) -> float:
    """Seconds that the page's main thread has worked."""
    found = session.send("Performance.getMetrics")["metrics"]  # type: ignore[attr-defined]  # a CDPSession
    return next(float(one["value"]) for one in found if one["name"] == "TaskDuration")


def _cpu(processes: list[psutil.Process]) -> float:
    """Seconds of processor."""
    total = 0.0
    for one in processes:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


if __name__ == "__main__":
    sys.exit(main())
