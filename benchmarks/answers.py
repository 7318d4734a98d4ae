"""Stacking what a large fleet answered: ``mig results --stack`` against ``--jsonl | jq | sort | uniq -c``.

``python -m benchmarks.answers``: a real platform, answers of 10,000 agents with 100 rows each put into its database,
both ways in turn in one run. Ends with status 1 when they disagree, or a goal is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg

from benchmarks.tables import print_table
from mig_core.cli.demo.platform import Platform
from mig_core.cli.demo.processes import program
from mig_core.cli.demo.site import Site

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GOAL_SECONDS = 2.0
GOAL_MEMORY = 100e6
GOAL_RATIO = 0.2
_TYPED = ("file", "-t", "all", "-path", "etc", "-name", "^motd$", "--detach")
_FILL = """
    ALTER TABLE agents DISABLE TRIGGER USER;
    INSERT INTO agents (id, name, shown_name, public_key, status, relay, version, mode, pid, environment, tags,
                        addresses, modules, failures, enrolled_at, enrolment_sent_at)
    SELECT 'b' || lpad(translate(n::text, '0189', 'abcd'), 31, 'z'), 'host-' || lpad(n::text, 6, '0'),
           'host-' || lpad(n::text, 6, '0'), decode(md5(n::text) || md5(n::text || 'x'), 'hex'), 'offline', 'https',
           '1', 'daemon', 1, '{}', '{}', '{}', '{}', '{}', now(), now()
      FROM generate_series(1, %(agents)s) AS n;
    ALTER TABLE agents ENABLE TRIGGER USER;
    INSERT INTO commands (id, action_id, agent_id, agent_name, state, found, complete, results, results_size, queued_at,
                          sent_at, finished_at, position)
    SELECT mig_uuid7(now()), %(action)s, id, name, 'success', true, true, results, length(results::text), now(), now(),
           now(), 1000 + row_number() OVER ()
      FROM (SELECT a.id, a.name, jsonb_build_array(jsonb_build_object(
              'foundanything', true, 'success', true, 'errors', null,
              'statistics', jsonb_build_object('totalhits', %(rows)s),
              'coverage', jsonb_build_object('complete', true, 'examined', jsonb_build_object('files', 5000),
                                             'skipped', '[]'::jsonb),
              'elements', jsonb_build_object('s1', (SELECT jsonb_agg(jsonb_build_object(
                  'file', '/usr/lib/program/part-' || r, 'fileinfo', jsonb_build_object(
                    'size', r * 100, 'mode', '-rwxr-xr-x', 'lastmodified', '2026-11-23T03:00:00Z',
                    'sha256', encode(sha256((r || CASE WHEN r %% 50 = 0 THEN a.name ELSE '' END)::bytea), 'hex'))))
                FROM generate_series(1, %(rows)s) AS r)))) AS results
              FROM agents a WHERE a.name LIKE 'host-%%') AS made;
    UPDATE actions SET targeted = targeted + %(agents)s, closed = 1000 + %(agents)s, state = 'completed',
           final_counts = jsonb_build_object('success', %(agents)s::int), final_found = %(agents)s,
           first_command = DEFAULT, last_command = DEFAULT WHERE id = %(action)s;
    ANALYZE commands;
    ANALYZE agents
"""


@dataclass(slots=True)
class Way:
    """One way to a stack, several times."""

    seconds: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    """Bytes, the most that ``mig`` and the programs behind it had resident."""
    values: dict[str, int] = field(default_factory=dict)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answers", description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=100, help="rows of each agent (default: 100)")
    parser.add_argument("--runs", type=int, default=3, help="of each way, in turn (default: 3)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="mig-answers-") as folder, contextlib.ExitStack() as stack:
        site = Site(Path(folder), "https")
        os.environ["XDG_STATE_HOME"] = str(site.folder("investigator", "state"))
        platform = stack.enter_context(Platform(site))
        environment = {**os.environ, "MIG_CONFIG": str(site.client_settings)}
        mig = program("mig")
        asked = subprocess.run(
            [mig, *_TYPED], env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()
        _fill(platform, asked, options.agents, options.rows)
        print(f"{options.agents} agents with {options.rows} rows each are in the books", file=sys.stderr)
        stacked = [mig, "results", asked, "--stack", "sha256", "--csv", "--limit", "0"]
        piped = (
            f"{mig} results {asked} --format jsonl"
            " | jq -r '.results[0].elements.s1[]?.fileinfo.sha256' | sort | uniq -c | sort -rn"
        )
        ways = {"mig results --stack": Way(), "mig results --jsonl | jq | sort | uniq -c": Way()}
        first, second = ways.values()
        for _ in range(options.runs):
            _run(first, stacked, environment, _from_csv)
            _run(second, ["sh", "-c", piped], environment, _from_uniq)
    return _report(ways)


def _fill(platform: Platform, action: str, agents: int, rows: int) -> None:
    values = {"action": action, "agents": agents, "rows": rows}
    with psycopg.connect(platform.postgres.url(), autocommit=True) as connection:
        for _ in range(100):
            (state,) = connection.execute("SELECT state FROM actions WHERE id = %s", (action,)).fetchone() or ("",)
            if state == "completed":  # nobody was there to be asked
                break
            time.sleep(0.1)
        with connection.cursor() as cursor:
            for statement in _FILL.split(";\n"):
                cursor.execute(statement.encode(), values if "%(" in statement else None)


def _run(way: Way, argv: Sequence[str], environment: Mapping[str, str], read: object) -> None:
    assert callable(read)
    began = time.monotonic()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(argv, env=dict(environment), stdout=out, stderr=subprocess.PIPE)
        peak = [0]
        watcher = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
        watcher.start()
        errors = process.communicate()[1]
        way.seconds.append(time.monotonic() - began)
        watcher.join()
        if process.returncode:
            raise SystemExit(f"{argv}: {errors.decode(errors='replace')}")
        out.seek(0)
        way.values = read(out.read().decode().splitlines())
    way.memory.append(peak[0])


def _watch(pid: int, peak: list[int]) -> None:
    """The most that the process and all below it had resident at one time."""
    with contextlib.suppress(psutil.Error):
        while True:
            top = psutil.Process(pid)
            resident = 0
            for one in (top, *top.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    resident += one.memory_info().rss
            peak[0] = max(peak[0], resident)
            if not top.is_running() or top.status() == psutil.STATUS_ZOMBIE:
                return
            time.sleep(0.02)


def _from_csv(lines: Sequence[str]) -> dict[str, int]:
    return {line.split(",")[0]: int(line.split(",")[3]) for line in lines[1:]}


def _from_uniq(lines: Sequence[str]) -> dict[str, int]:
    return {value: int(count) for count, value in (line.split() for line in lines)}


def _report(ways: Mapping[str, Way]) -> int:
    (first, second) = ways.values()
    seconds = [statistics.median(one.seconds) for one in (first, second)]
    memory = [statistics.median(one.memory) for one in (first, second)]
    print_table(
        "a stack of 'sha256'",
        ("", "seconds", "client's peak, MB", "values"),
        [
            (name, f"{time_:.2f}", f"{bytes_ / 1e6:.0f}", str(len(way.values)))
            for (name, way), time_, bytes_ in zip(ways.items(), seconds, memory, strict=True)
        ],
    )
    goals = {
        "the same values": first.values == second.values,
        f"under {GOAL_SECONDS:g} s": seconds[0] < GOAL_SECONDS,
        f"client under {GOAL_MEMORY / 1e6:g} MB": memory[0] < GOAL_MEMORY,
        f"at most {GOAL_RATIO:g} of the time": seconds[0] <= GOAL_RATIO * seconds[1],
        f"at most {GOAL_RATIO:g} of the memory": memory[0] <= GOAL_RATIO * memory[1],
    }
    print(json.dumps({"time": round(seconds[0] / seconds[1], 3), "memory": round(memory[0] / memory[1], 3)}))
    for name, reached in goals.items():
        print(f"{'reached' if reached else 'MISSED '}  {name}")
    print(f"{os.cpu_count()} processors, load average now {os.getloadavg()[0]:.2f}")
    return 0 if all(goals.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
