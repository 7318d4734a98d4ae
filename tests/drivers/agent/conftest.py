"""Endpoints to try agents on: a folder that holds an installed plugin with the trial modules, and a launcher on it."""

from __future__ import annotations

import inspect
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

import mig_core
from mig_core.agent.operations.executor import Executor
from mig_core.agent.operations.launcher import Launcher
from mig_core.config.agent import ModuleSettings
from mig_core.domain import envelope as envelopes
from mig_core.domain.action import Action, Cancel, Operation
from mig_core.domain.agent import Enrolment, Heartbeat, read_enrolment, read_heartbeat
from mig_core.domain.command import CancelMessage, CommandMessage
from mig_core.domain.envelope import Envelope, Signature, read_envelope
from mig_core.domain.ids import ActionId, AgentId, CommandId, uuid7
from mig_core.domain.messages import Kind, Outgoing
from mig_core.domain.result import Answer, read_answer
from mig_core.identity import AgentKey, verify_agent
from mig_core.pgp.gnupg import GnupgSigner, generate_key
from mig_core.pgp.home import stop_agent
from mig_core.testing.https_relay_site import Routes, Server, run
from mig_core.testing.queue_in_memory import END, QueueInMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.domain.document import JSON

_HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def plugin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as pip would fill it: the trial modules, one broken plugin, and their metadata."""
    folder = tmp_path_factory.mktemp("site")
    points = ""
    for file in ("trial_modules", "trial_persistent"):
        shutil.copy(_HERE / f"{file}.py", folder)
        source = (_HERE / f"{file}.py").read_text(encoding="utf-8")
        classes = [
            line.split()[1].partition("(")[0].rstrip(":") for line in source.splitlines() if line.startswith("class ")
        ]
        points += "".join(
            f"{name.lower()} = {file}:{name}\n" for name in classes if name not in ("Trial", "Lasting", "CloudFacts")
        )
    metadata = folder / "mig_plugin_trial-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mig-plugin-trial\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[mig.modules]\n{points}broken = no_such_file:Broken\n")
    return folder


@pytest.fixture(scope="session")
def plugin_environment(plugin_folder: Path) -> dict[str, str]:
    """The environment in which a program finds the trial modules and the core under test."""
    core = str(Path(inspect.getfile(mig_core)).parent.parent)
    path = os.pathsep.join([str(plugin_folder), core, os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


@pytest.fixture(scope="session")
def zygote_program(plugin_environment: dict[str, str]) -> tuple[str, ...]:
    """The command line of a zygote that finds the trial modules."""
    return (
        "env",
        f"PYTHONPATH={plugin_environment['PYTHONPATH']}",
        sys.executable,
        "-m",
        "mig_core.agent.operations.zygote",
    )


@pytest.fixture(scope="module")
def launcher(zygote_program: tuple[str, ...]) -> Iterator[Launcher]:
    """A launcher that has the trial modules."""
    launcher = Launcher(program=zygote_program)
    yield launcher
    launcher.close()


@pytest.fixture
def executor(launcher: Launcher) -> Executor:
    """An executor with small limits."""
    return Executor(launcher, ModuleSettings(memory_mb=96, niceness=5))


@pytest.fixture
def make_executor(launcher: Launcher) -> Callable[..., Executor]:
    """Executors with other settings on the same launcher."""
    return lambda **settings: Executor(launcher, ModuleSettings(**settings))


class EnrolRoutes(Routes):
    """mig-api's relay routes and its enrolment."""

    def do_GET(self) -> None:  # noqa: N802  the name is http.server's
        if self._ended():
            return
        if self.path == "/healthz":
            self._answer(200, {"status": "ok"})
            return
        super().do_GET()

    def do_PUT(self) -> None:  # noqa: N802  the name is http.server's
        server = cast("PlatformServer", self.server)
        if self._ended():
            return
        if server.results_refused:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(503, {"title": "no room"})
            return
        super().do_PUT()

    def _ended(self) -> bool:
        """Connections that were kept alive outlast the server; a platform that is away does not answer on them."""
        self.close_connection = cast("PlatformServer", self.server).ending
        return self.close_connection

    def do_POST(self) -> None:  # noqa: N802  the name is http.server's
        server = cast("PlatformServer", self.server)
        if self._ended():
            return
        if not self.path.endswith("/enrol"):
            super().do_POST()
            return
        content = self.rfile.read(int(self.headers["Content-Length"]))
        envelope = read_envelope(content, expected_type=envelopes.ENROL)
        enrolment = read_enrolment(envelope.payload)
        verify_agent(envelope, enrolment.public_key)
        server.enrolments.append(enrolment)
        if server.approval_pending:
            self._answer(202, {"state": "pending"})
            return
        token = server.tokens[enrolment.facts.id] = secrets.token_urlsafe()
        server.public_keys[enrolment.facts.id] = enrolment.public_key
        self._answer(200, {"state": "online", "token": token, "relay": enrolment.relay})

    def refusal(self, kind: Kind, size: int) -> tuple[int, str] | None:
        """Of results, while the test says so."""
        server = cast("PlatformServer", self.server)
        if kind is Kind.RESULT and server.results_refused:
            return 503, "no room"
        if kind is Kind.RESULT and server.too_long and size > server.too_long:
            return 400, "a firewall does not like it"
        return None


class PlatformServer(Server):
    """A platform reduced to what an agent sees of it."""

    def __init__(self, queue: QueueInMemory, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(queue, address)
        self.RequestHandlerClass = EnrolRoutes
        self.enrolments: list[Enrolment] = []
        self.public_keys: dict[str, bytes] = {}
        self.approval_pending = False
        self.results_refused = False
        self.too_long = 0
        """Results with more bytes than this something on the way always refuses; 0: none."""


class Platform:
    """Sends commands and collects what agents answer, verified."""

    def __init__(self) -> None:
        self.queue = QueueInMemory()
        self.server = PlatformServer(self.queue)
        self.server.start()
        self.answers: dict[CommandId, list[Answer]] = {}
        self.heartbeats: list[Heartbeat] = []

    def leave(self) -> None:
        """The API is away."""
        self.server.stop()

    def come_back(self) -> None:
        """On the same port."""
        old = self.server
        self.server = PlatformServer(self.queue, ("127.0.0.1", old.server_port))
        self.server.tokens, self.server.public_keys = old.tokens, old.public_keys
        self.server.start()

    def send(self, message: CommandMessage | CancelMessage) -> None:
        """Queues a message for its agent."""
        run(self.queue.put_commands([Outgoing(message.agent, message.to_bytes(), END)]))

    def wait_for(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Collects until the condition holds; fails the test when it never does."""
        end = time.monotonic() + seconds
        while True:
            self.collect()
            if condition():
                return
            if time.monotonic() > end:
                pytest.fail(f"it did not happen within {seconds} s; answers so far: {self.answers}")
            time.sleep(0.01)

    def answer_to(self, command: CommandId) -> Answer:
        """The first answer to a command, waited for."""
        self.wait_for(lambda: command in self.answers)
        return self.answers[command][0]

    def collect(self) -> None:
        """Takes in what has arrived."""
        for number, inbound in run(self.queue.take_inbound(limit=100, lease=60.0, now=datetime.now(UTC))):
            kind = envelopes.RESULT if inbound.kind is Kind.RESULT else envelopes.HEARTBEAT
            envelope = read_envelope(inbound.body, expected_type=kind, max_bytes=envelopes.MAX_RESULT_BYTES)
            verify_agent(envelope, self.server.public_keys[inbound.agent])
            if inbound.kind is Kind.RESULT:
                answer = read_answer(envelope.payload)
                self.answers.setdefault(answer.command, []).append(answer)
            else:
                self.heartbeats.append(read_heartbeat(envelope.payload))
            run(self.queue.remove_inbound([number]))

    @property
    def waiting(self) -> int:
        """Messages not acknowledged yet."""
        return len(self.queue.commands)


@pytest.fixture
def platform() -> Iterator[Platform]:
    """A platform without agents."""
    platform = Platform()
    yield platform
    platform.leave()


@pytest.fixture(scope="session")
def investigator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GnupgSigner]:
    """The investigator whom every endpoint trusts; ``stranger`` lives in the same home."""
    home = tmp_path_factory.mktemp("investigator")
    yield GnupgSigner(generate_key(home, "Irene", "irene@example.org").fingerprint, home)
    stop_agent(home)


class Endpoint:
    """A machine with an agent installed."""

    def __init__(self, folder: Path, api: str, investigator: GnupgSigner, environment: dict[str, str]) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.configuration = folder / "agent.toml"
        self.environment = environment
        self._investigator = investigator
        self._process: subprocess.Popen[bytes] | None = None
        self.state.mkdir(mode=0o700)
        self.id: AgentId = AgentKey.load_or_create(self.state / "agent.key").agent_id
        (folder / "keys").mkdir()
        (folder / "keys" / "irene.asc").write_bytes(investigator.public_key())
        person = {"fingerprint": investigator.fingerprint, "weight": 1}
        acl = {
            "default": {"minimumweight": 1, "investigators": {"Irene": person}},
            "failing": {"minimumweight": 2, "investigators": {"Irene": person}},
        }
        (folder / "acl.json").write_text(json.dumps(acl))
        self.configure(api)

    def configure(self, api: str, **modules: object) -> None:
        """Writes the settings."""
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in modules.items())
        self.configuration.write_text(
            f'state = "{self.state}"\nname = "web1.example.net"\nheartbeat_interval = "1s"\nlog_level = "DEBUG"\n'
            f'tags = {{ team = "blue" }}\n[platform]\napi = "{api}"\n'
            f'[trust]\nkeys = "{self.folder / "keys"}"\nacl = "{self.folder / "acl.json"}"\n[modules]\n{lines}\n'
        )

    @property
    def log(self) -> str:
        """What the agent has logged."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The agent's process id."""
        assert self._process is not None
        return self._process.pid

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Runs ``mig-agent`` to its end."""
        command = [sys.executable, "-m", "mig_core.agent.main", "--config", str(self.configuration), *arguments]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, env=self.environment, check=False, timeout=300
        )

    def start(self) -> None:
        """Starts the daemon."""
        command = [sys.executable, "-m", "mig_core.agent.main", "--config", str(self.configuration)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL, env=self.environment)

    def stop(self, number: int = signal.SIGTERM, *, within: float = 60.0) -> int:
        """Stops the daemon with a signal; its exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        return self.wait(within)

    def wait(self, seconds: float) -> int:
        """Waits for the daemon's end; its exit status."""
        assert self._process is not None
        return self._process.wait(seconds)

    def end(self) -> None:
        """Whatever is left."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def action(
        self, *operations: tuple[str, dict[str, JSON]], target: str = "all", seconds: float = 60.0, identifier: str = ""
    ) -> Action:
        """An action for this endpoint."""
        now = datetime.now(UTC)
        return Action(
            id=ActionId(identifier or uuid7(now, os.urandom(10))),
            name="trial",
            target=target,
            valid_from=now - timedelta(seconds=10),
            expire_after=now + timedelta(seconds=seconds),
            operations=tuple(Operation(module, parameters) for module, parameters in operations),
        )

    def command(self, action: Action, *, identifier: str = "", signed: bool = True) -> CommandMessage:
        """A command that carries the action, signed by the investigator."""
        envelope = Envelope(envelopes.ACTION, action.to_payload())
        envelope = self._investigator.sign(envelope) if signed else envelope.with_signature(Signature("nobody", b"x"))
        return CommandMessage(CommandId(identifier or uuid7(datetime.now(UTC), os.urandom(10))), self.id, envelope)

    def cancel(self, action: Action) -> CancelMessage:
        """A signed cancel."""
        cancel = Cancel(action.id, "enough", datetime.now(UTC))
        return CancelMessage(self.id, self._investigator.sign(Envelope(envelopes.CANCEL, cancel.to_payload())))


@pytest.fixture
def endpoint(
    tmp_path: Path, platform: Platform, investigator: GnupgSigner, plugin_environment: dict[str, str]
) -> Iterator[Endpoint]:
    """An endpoint of the platform; its agent is not started."""
    endpoint = Endpoint(tmp_path, platform.server.url, investigator, plugin_environment)
    yield endpoint
    endpoint.end()
