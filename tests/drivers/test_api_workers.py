"""``mig-api --workers``: several processes that are one mig-api to everybody else."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mig_core.api.limiter import Limiter
from mig_core.api.metrics import Metrics
from mig_core.api.workers import Blackboard, Place, Workers, added
from mig_core.domain.exchanges import Request
from mig_core.errors import ApiError
from mig_core.testing.api_site import ENROLMENT_SECRET, ApiSite, SampleAgent
from mig_core.testing.eventually import eventually
from mig_core.testing.ports import free_port
from mig_core.testing.running import alive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.config.server import ApiSettings
    from mig_core.domain.ids import AgentId
    from mig_core.store.postgres import PostgresStore
    from mig_core.testing.keys import InvestigatorKeys


class Program:
    """A running ``mig-api --workers 2``."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.port = free_port()
        self.config = folder / "api.toml"
        (folder / "secret").write_text(ENROLMENT_SECRET, encoding="utf-8")
        self.config.write_text(
            f'listen = "127.0.0.1:{self.port}"\nstate = "{folder}/state"\nworkers = 2\n'
            f'enrolment_secret_file = "{folder}/secret"\n'
            f'[database]\nurl = "{database_url}"\n',
            encoding="utf-8",
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        # As the first process of a container it has children that it did not make.
        shell = ["sh", "-c", 'true & exec "$@"', "sh"]
        words = [*shell, sys.executable, "-m", "mig_core.api.main", "--config", str(self.config)]
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(words, env=environment, stderr=log)

    @property
    def log(self) -> list[str]:
        """What it wrote so far."""
        return self._log.read_text(encoding="utf-8").splitlines()

    def workers(self) -> set[int]:
        """Their process ids."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        return {int(one) for one in text.split()}

    def get(self, path: str) -> tuple[int, str]:
        """Over a connection of its own, so any worker may answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def answered(self) -> int:
        """How many requests for nothing in particular all workers together have answered, by the metrics."""
        found = re.search(
            r'^mig_http_requests_total\{method="GET",route="other",status="404"\} (\S+)',
            self.get("/metrics")[1],
            re.MULTILINE,
        )
        return int(float(found[1])) if found is not None else 0

    def polls(self) -> int:
        """Agents that wait at all workers together."""
        found = re.search(r"^mig_poll_waiters (\S+)", self.get("/metrics")[1], re.MULTILINE)
        return int(float(found[1])) if found is not None else 0

    def end(self) -> tuple[int, float]:
        """Exit status, and the seconds it took."""
        began = time.monotonic()
        self.process.terminate()
        status = self.process.wait(60)
        return status, time.monotonic() - began


@pytest.fixture
def program(tmp_path: Path, api_store_url: str) -> Iterator[Program]:
    program = Program(tmp_path, api_store_url)
    try:
        eventually(lambda: sum("listens on" in line for line in program.log) == 2 or program.process.poll() is not None)
        yield program
    finally:
        program.process.kill()
        program.process.wait()


def test_workers_count_as_one_one_that_dies_is_replaced_and_all_end_together(program: Program) -> None:
    eventually(lambda: len(program.workers()) == 2)  # the child of others is seen to, too
    before = program.workers()
    statuses = [program.get("/nothing")[0] for _ in range(20)]
    eventually(lambda: program.answered() == 20)

    os.kill(min(before), signal.SIGKILL)

    eventually(lambda: len(program.workers()) == 2 and min(before) not in program.workers())
    eventually(lambda: sum("listens on" in line for line in program.log) == 3)
    assert [program.get("/nothing")[0] for _ in range(10)] == [404] * 10
    status, took = program.end()
    assert statuses == [404] * 20
    assert (status, took < 30) == (0, True), program.log
    assert any("worker" in line and "another one starts" in line for line in program.log)
    assert "Traceback" not in "".join(program.log)


class Waiting:
    """An agent whose exchange waits for a message."""

    def __init__(self, agent: SampleAgent, port: int) -> None:
        self._login = {"Authorization": f"Bearer {agent.id}:{agent.token}", "Content-Type": "application/octet-stream"}
        self.id = agent.id
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.send(50)

    def send(self, wait: int) -> None:
        body = Request("one", wait, 8).to_bytes()
        self.connection.request("POST", "/api/v1/relay/exchange", body, self._login)

    def answer(self) -> int:
        """The status; 0: the connection ended."""
        try:
            with self.connection.getresponse() as response:
                response.read()
                return response.status
        except (OSError, http.client.HTTPException):
            return 0


def test_agents_at_two_workers_hear_at_once_that_they_are_retired_that_one_died_and_that_all_end(
    program: Program, api_settings: ApiSettings, store_url: str, investigator_keys: InvestigatorKeys
) -> None:
    site = ApiSite(api_settings.state, store_url, api_settings, investigator_keys, f"127.0.0.1:{program.port}")
    agents = [SampleAgent(site, f"web{number}") for number in range(12)]
    assert [one.enrol().status for one in agents] == [200] * 12
    waiting = [Waiting(one, program.port) for one in agents]
    eventually(lambda: program.polls() == 12)

    # A process that is none of the two retires a half.
    leaving, staying = waiting[:6], waiting[6:]
    site.platform(lambda store: _retire(store, [one.id for one in leaving]))
    sent_away = [one.answer() for one in leaving]
    for one in leaving:
        one.send(0)
    refused = [one.answer() for one in leaving]
    os.kill(max(program.workers()), signal.SIGKILL)
    eventually(lambda: sum("listens on" in line for line in program.log) == 3)
    status, took = program.end()
    told = [one.answer() for one in staying]
    for one in waiting:
        one.connection.close()

    assert sent_away == refused == [401] * 6
    assert set(told) <= {200, 0}, "answered by the worker that stopped; cut off by the one that was killed"
    assert (status, took < 20) == (0, True), program.log  # a poll may take a minute


async def _retire(store: PostgresStore, agents: list[AgentId]) -> None:
    for one in agents:
        await store.agents.retire(one, datetime.now(UTC))


_TOLD_WHILE_IT_FORKS = """
import os, signal, sys
from mig_core.api.workers import Workers
os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))
def work(place):
    print("works", flush=True)
    os.kill(os.getppid(), signal.SIGTERM)  # so that this ends at all
    return 0
def before():
    os.kill(os.getpid(), signal.SIGTERM)
os.register_at_fork(after_in_parent=before)
sys.exit(Workers(1, work).run())
"""


def test_a_worker_that_is_told_to_end_while_it_is_forked_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _TOLD_WHILE_IT_FORKS], capture_output=True, text=True, timeout=30, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_worker_that_lived_long_is_replaced_as_quickly_as_the_first_that_died() -> None:
    workers = Workers(2, lambda _: 0)
    for _ in range(20):
        workers.pause_after(0, lived=1.0)

    assert workers.pause_after(0, lived=3600.0) <= 0.4
    assert workers.pause_after(1, lived=1.0) <= 0.4


def test_other_settings_have_all_workers_begin_again_on_the_same_address(program: Program) -> None:
    before = program.workers()
    text = program.config.read_text(encoding="utf-8")
    program.config.write_text(text.replace("workers = 2", "workers = 3"), encoding="utf-8")

    program.process.send_signal(signal.SIGHUP)

    eventually(lambda: sum("listens on" in line for line in program.log) == 5)
    assert program.get("/healthz")[0] == 200
    eventually(lambda: len(program.workers()) == 3 and not before & program.workers())
    assert program.end()[0] == 0


def test_workers_end_with_the_process_that_forked_them(program: Program) -> None:
    workers = program.workers()

    program.process.kill()

    eventually(lambda: not any(map(alive, workers)))


def test_workers_that_cannot_start_end_the_program_with_the_reason(tmp_path: Path) -> None:
    program = Program(tmp_path, "")

    status = program.process.wait(60)

    program.end()
    assert status == 1
    assert any("database.url: is missing" in line for line in program.log)


def test_a_worker_that_takes_anothers_place_goes_on_with_its_counts() -> None:
    board = Blackboard(2)
    one, other = (Metrics(place=Place(number, board, 0)) for number in range(2))
    one.requests["GET", "/x", 200] = 5
    one.polls = 9
    one.publish()
    other.requests["GET", "/x", 200] = 2

    instead = Metrics(place=Place(0, board, 0))
    instead.requests["GET", "/x", 200] = 1
    instead.publish()

    text = other.text({}, {}).decode()
    assert 'mig_http_requests_total{method="GET",route="/x",status="200"} 8.0' in text
    assert "mig_poll_waiters 0.0" in text


def test_bounds_of_one_process_are_divided_among_workers() -> None:
    limiter = Limiter(burst=20, per_second=1.0, shared_by=4, monotonic=lambda: 0.0)
    for _ in range(5):
        limiter.check("one")
        limiter.spend("one")

    with pytest.raises(ApiError, match="too many"):
        limiter.check("one")


def test_what_is_being_written_is_not_read() -> None:
    board = Blackboard(2)
    board.write(1, {"polls": 3})
    assert board.read(1) == {"polls": 3}
    assert board.read(0) == {}

    board._memory[(64 << 10) + 12] = 0  # in the middle of it

    assert board.read(1) == {"polls": 3}
    assert added([{"a": {"x": 1}, "n": 1}, {}, {"a": {"x": 2, "y": 3}, "n": 1}]) == {"a": {"x": 3, "y": 3}, "n": 2}
