"""The parts in their containers, by docker-compose: started, killed, started again; and SQL at the one that writes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pika

from mig_core.relay.private_rabbitmq import free_port
from mig_core.relay.topology import RESULTS, SHARED_QUEUES

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TAG = "topology"
NET = "172.31.77"
PROJECT = "migtopology"
BROKERS = ("mq1", "mq2", "mq3")
SCHEDULERS = ("scheduler1", "scheduler2")
SECRET = "a-secret-of-this-topology-only"
_TARGETS = ("server", "database", "relay")


class PartFailed(Exception):
    """A container did not do what it should; carries what it said."""


class Containers:
    """All parts. ``up`` starts them in order, ``down`` removes them.

    Args:
        site: a new folder, mounted into each of them.
    """

    def __init__(self, site: Path) -> None:
        self._site = site
        self.primary = "db1"
        self._ports = {"API_PORT": free_port(), "AMQP_PORT": free_port()}
        self._environment = {
            **{name: str(port) for name, port in self._ports.items()},
            "SITE": str(site),
            "NET": NET,
            "MIG_TAG": TAG,
            "COMPOSE_PROJECT_NAME": PROJECT,
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }
        shutil.copytree(HERE / "site", site, dirs_exist_ok=True)
        for file in site.iterdir():
            file.write_text(file.read_text(encoding="utf-8").replace("@NET@", NET), encoding="utf-8")
            file.chmod(0o644)
        (site / "enrolment-secret").write_text(SECRET, encoding="ascii")
        site.chmod(0o755)

    @property
    def api(self) -> str:
        """Where investigators and agents reach the two mig-api."""
        return f"http://127.0.0.1:{self._ports['API_PORT']}"

    @property
    def relay(self) -> str:
        """Where agents reach RabbitMQ."""
        return f"amqp://127.0.0.1:{self._ports['AMQP_PORT']}/mig"

    def build(self) -> None:
        """The project's own images, and nginx's."""
        for target in _TARGETS:
            _run(
                [
                    "docker",
                    "build",
                    "-q",
                    "-f",
                    "compose/Dockerfile",
                    "--target",
                    target,
                    "-t",
                    f"mig/{target}:{TAG}",
                    ".",
                ]
            )
        _run(["docker", "build", "-q", "-t", f"mig/proxy:{TAG}", str(HERE)])

    def up(self) -> None:
        """Everything, in the order in which one part needs another."""
        self.compose("up", "-d", "db1")
        self.wait("PostgreSQL", lambda: self.sql("SELECT 1") == "1")
        self.compose("up", "-d", "db2", "mq1")
        self.wait("the first node of RabbitMQ", lambda: self._node("mq1"))
        self.compose("up", "-d", "mq2", "mq3")
        self._commit_on_both("the standby")
        for node in ("mq2", "mq3"):
            self.wait(f"node {node} of RabbitMQ", lambda node=node: self._node(node))  # type: ignore[misc]
        self.compose("up", "-d", "api1")
        self.wait("api1", lambda: self._healthy("api1"))
        self.compose("up", "-d", "api2", "proxy")
        self.wait("api2", lambda: self._healthy("api2"))
        self.wait("three nodes", lambda: self._nodes() == 3)
        self._shared_queues()
        self.compose("up", "-d", "scheduler1", "scheduler2")

    def bootstrap_secret(self) -> str:
        """What mig-api wrote for the first investigator."""
        return self.inside("api1", "cat", "/var/lib/mig-api/bootstrap-secret").strip()

    def kill(self, *parts: str) -> None:
        """SIGKILL, at once."""
        _run(["docker", "kill", *map(self._container, parts)])

    def start(self, *parts: str) -> None:
        """Starts parts that were killed, with what they had on their disks."""
        _run(["docker", "start", *map(self._container, parts)])

    def kill_worker(self, part: str) -> None:
        """SIGKILL for one of the processes of a mig-api; what forked it makes another one."""
        code = "import os; os.kill(int(open('/proc/1/task/1/children').read().split()[0]), 9)"
        self.inside(part, "python3", "-c", code)

    def forget(self, node: str) -> None:
        """Tells RabbitMQ's cluster that a node is gone for good: its queues are no more."""
        self._ctl(self._running_broker(), f"forget_cluster_node rabbit@{node}")

    def leader(self) -> str:
        """The node of RabbitMQ that leads the queue all answers come through."""
        text = self._ctl(self._running_broker(), "list_queues -p mig name leader --formatter json")
        (leads,) = (one["leader"] for one in json.loads(text[text.index("[") :]) if one["name"] == RESULTS)
        return str(leads).partition("@")[2]

    def handed_over_again(self) -> int:
        """How many commands schedulers have handed over again so far, by their logs."""
        said = "".join(self.logs(part) for part in SCHEDULERS)
        return sum(map(int, re.findall(r"(\d+) commands are handed over again", said)))

    def versions(self) -> list[str]:
        """What runs in the containers."""
        code = "import platform; from mig_core.exposition import version as v; print(v(), platform.python_version())"
        said = [
            "mig {} on Python {}".format(*self.inside("api1", "python3", "-c", code).split()),
            f"PostgreSQL {self.sql('SHOW server_version')}",
            f"RabbitMQ {self._ctl(self._running_broker(), 'version')}",
            self.inside("proxy", "bash", "-c", "nginx -v 2>&1").removeprefix("nginx version: "),
        ]
        return [one.strip() for one in said]

    def fail_over(self) -> None:
        """Has the standby become the primary; the old one is dead, or is about to find out."""
        self.primary = "db2"
        self.sql("SELECT pg_promote()")

    def new_standby(self) -> None:
        """A new container in the old primary's place, which follows the new one."""
        _run(["docker", "rm", "-f", "-v", self._container("db1")])
        override = self._site / "standby.yml"
        override.write_text("services:\n  db1:\n    command: [bash, /site/database, standby, db2]\n", encoding="ascii")
        self.compose("-f", str(override), "up", "-d", "--no-deps", "db1")
        self._commit_on_both("the new standby")

    def down(self) -> None:
        """Removes containers and network; images stay."""
        self.compose("down", "-v", "--remove-orphans", "-t", "2")

    def sql(self, statement: str) -> str:
        """One statement at the present primary; its rows, columns divided by ``|``."""
        command = ["psql", "-h", "/run/mig", "-U", "postgres", "-d", "mig", "-qAt", "-c", statement]
        return self.inside(self.primary, *command).strip()

    def inside(self, part: str, *command: str) -> str:
        """Runs a program in a part's container."""
        return _run(["docker", "exec", self._container(part), *command])

    def logs(self, part: str) -> str:
        """What a part wrote, in all its lives."""
        done = subprocess.run(
            ["docker", "logs", self._container(part)], capture_output=True, text=True, check=False, errors="replace"
        )
        return done.stdout + done.stderr

    def compose(self, *words: str) -> None:
        """docker-compose with our file; the words may begin with further ones."""
        _run(["docker-compose", "-f", str(HERE / "compose.yml"), *words], environment=self._environment)

    def wait(self, what: str, ready: Callable[[], bool], *, seconds: float = 180.0) -> None:
        """Returns when it is ready.

        Raises:
            PartFailed: not in time.
        """
        deadline = time.monotonic() + seconds
        said = ""
        while time.monotonic() < deadline:
            try:
                if ready():
                    return
            except PartFailed as error:
                said = str(error)
            time.sleep(0.5)
        raise PartFailed(f"{what}: not ready after {seconds:.0f} s: {said}")

    def _commit_on_both(self, standby: str) -> None:
        """From here on what is committed is on the standby's disk, too.

        ``*`` or any row of pg_stat_replication would also mean the program that copies the data to it, which confirms
        nothing: every commit would wait until the copy is there.
        """
        follows = (
            "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'walreceiver' AND state = 'streaming'"
        )
        self.wait(standby, lambda: self.sql(follows) == "1")
        self.sql("ALTER SYSTEM SET synchronous_standby_names = 'walreceiver'")
        self.sql("SELECT pg_reload_conf()")

    def _container(self, part: str) -> str:
        return f"{PROJECT}_{part}_1"

    def _node(self, part: str) -> bool:
        code = "exec 3<>/dev/tcp/127.0.0.1/5672 && printf 'AMQP\\x00\\x00\\x09\\x01' >&3 && head -c 1 <&3 | od -An -tu1"
        return self.inside(part, "bash", "-c", code).strip() == "1"

    def _nodes(self) -> int:
        text = self._ctl("mq1", "cluster_status --formatter json")
        return len(json.loads(text[text.index("{") :])["running_nodes"])

    def _running_broker(self) -> str:
        return next(one for one in BROKERS if self._is_up(one))

    def _is_up(self, node: str) -> bool:
        try:
            return self._node(node)
        except PartFailed:
            return False

    def _ctl(self, node: str, words: str) -> str:
        return self.inside(node, "bash", "-c", _CTL.format(words=words))

    def _healthy(self, part: str) -> bool:
        code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:1664/healthz', timeout=3).status)"
        return self.inside(part, "python3", "-c", code).strip() == "200"

    def _shared_queues(self) -> None:
        """The queues that all schedulers share are quorum queues; a scheduler takes what exists as it is."""
        login = pika.PlainCredentials("scheduler", "topology")
        address = pika.ConnectionParameters("127.0.0.1", self._ports["AMQP_PORT"], "mig", login)
        with pika.BlockingConnection(address) as connection:
            for queue in SHARED_QUEUES:
                connection.channel().queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})


_CTL = (
    "RABBITMQ_NODENAME=rabbit@$(hostname)"
    " RABBITMQ_CONF_ENV_FILE=/var/lib/mig-relay/rabbitmq-env.conf rabbitmqctl -q {words}"
)


def _run(words: list[str], *, environment: dict[str, Any] | None = None) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT, env=environment, timeout=3600)
    if done.returncode != 0:
        raise PartFailed(f"{' '.join(words[:6])}: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout
