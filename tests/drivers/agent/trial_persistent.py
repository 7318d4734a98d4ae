"""Persistent modules that behave in every way they can; put on an endpoint by the fixtures.

Files in the folder ``config["folder"]`` tell them what to do while they run.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from mig_core.domain.result import ModuleResult
from mig_core.errors import ConfigurationError
from mig_core.plugin.module import Context, ModuleInfo
from mig_core.plugin.parameters import Parameter, Parameters, Values
from mig_core.plugin.persistent import Incoming, PersistentModule, Service
from mig_core.plugin.question import ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def append(path: str, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


class Lasting(PersistentModule[Values]):
    parameters = Parameters(Parameter(name="word", key="word", help="a word"))

    def parse_parameters(self, raw: object, *, strict: bool = True) -> Values:
        return self.parameters.parse(raw, strict=strict)

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        return ask(context, {"word": parameters.text("word")})

    def check_config(self, config: Mapping[str, Any]) -> None:
        if not isinstance(config.get("folder"), str):
            raise ConfigurationError("", "folder", "must be a path", next_step="set it")
        if config.get("broken"):
            raise ZeroDivisionError("while looking at the settings")

    def serve(self, service: Service) -> None:
        raise NotImplementedError


def info(name: str) -> ModuleInfo:
    return ModuleInfo(name=name, summary=f"lasts as {name}")


class Source(Lasting):
    """Sends numbered alerts as fast as it can, up to ``config["count"]``; each is noted after it was taken."""

    info = info("source")

    def serve(self, service: Service) -> None:
        config: Any = service.config
        folder = str(config["folder"])
        append(f"{folder}/{self.info.name}.pids", f"{os.getpid()}\n")
        noted = f"{folder}/{self.info.name}.sent"
        number = 0
        if os.path.exists(noted):
            with open(noted, "rb") as file:
                number = int((file.read().rstrip(b"\n").rpartition(b"\n")[2] or b"0").split(b"\n")[-1])
        pad = "x" * config.get("size", 10)

        def answer(raw: Any) -> ModuleResult:
            return ModuleResult(True, True, {"asked": raw, "number": number})

        service.answer_with(answer)
        note = os.open(noted, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        while not service.stopping.is_set() and number < config.get("count", 1 << 60):
            if service.alert({"n": number + 1, "from": self.info.name, "pad": pad}):
                number += 1
                os.write(note, b"%d\n" % number)
                if number % 1000 == 0:
                    service.status({"number": number})
        service.status({"number": number})
        service.stopping.wait()


class Second(Source):
    """Another source."""

    info = info("second")


class Sink(Lasting):
    """Writes alerts to ``taken``; the files ``slow``, ``refuse`` and ``crash`` change how."""

    info = info("sink")
    takes_alerts = True

    def serve(self, service: Service) -> None:
        folder = str(service.config["folder"])
        append(f"{folder}/sink.pids", f"{os.getpid()}\n")
        taken = os.open(f"{folder}/taken", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        # The last process may have been killed in the middle of a line that it did not accept.
        os.ftruncate(taken, os.pread(taken, os.fstat(taken).st_size, 0).rfind(b"\n") + 1)
        batches: list[int] = []

        def take(alerts: Sequence[Incoming]) -> None:
            if os.path.exists(f"{folder}/slow"):
                service.stopping.wait(0.2)
            if os.path.exists(f"{folder}/refuse"):
                raise OSError("the disk is full")
            text = b"".join(b"%d %b %b\n" % (one.id, one.module.encode(), one.raw) for one in alerts)
            os.write(taken, text)
            if os.path.exists(f"{folder}/crash"):
                os.unlink(f"{folder}/crash")
                os._exit(9)
            batches.append(len(alerts))

        service.take_alerts(take)
        service.answer_with(lambda raw: ModuleResult(True, True, {"batches": len(batches), "largest": max(batches)}))
        service.stopping.wait()


class Detector(Lasting):
    """Notes every alert it is shown in ``seen``, and tells of each tenth; the file ``blind`` makes it refuse all."""

    info = info("detector")
    watches_alerts = True

    def serve(self, service: Service) -> None:
        folder = str(service.config["folder"])
        append(f"{folder}/detector.pids", f"{os.getpid()}\n")
        seen = os.open(f"{folder}/seen", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

        def look(alerts: Sequence[Incoming]) -> None:
            if os.path.exists(f"{folder}/blind"):
                raise OSError("sees nothing")
            for one in alerts:
                alert = json.loads(one.raw)
                os.write(seen, b"%b %b\n" % (one.module.encode(), one.raw))
                if alert.get("n", 1) % 10 == 0:
                    service.alert({"n": alert["n"] // 10, "from": "detector"})

        service.take_alerts(look)
        service.stopping.wait()


class OtherSink(Sink):
    """A second one is not allowed."""

    info = info("othersink")


class Odd(Lasting):
    """Does what ``config["does"]`` says."""

    info = info("odd")

    def serve(self, service: Service) -> None:
        config: Any = service.config
        append(f"{config['folder']}/odd.pids", f"{os.getpid()}\n")
        getattr(self, config["does"])(service, config["folder"])

    def raises(self, service: Service, folder: str) -> None:
        raise RuntimeError("over board")

    def returns(self, service: Service, folder: str) -> None:
        return

    def ends(self, service: Service, folder: str) -> None:
        service.stopping.set()

    def prints(self, service: Service, folder: str) -> None:
        print("printed \x1b[31mred")  # noqa: T201  it is what this module is for
        os.write(1, b'{"class":"nonsense"}\n')
        sys.stderr.write("complained\n")
        service.alert({"told": True})
        service.stopping.wait()

    def hangs(self, service: Service, folder: str) -> None:
        # With the interpreter's lock held: nothing else in this process runs.
        ctypes.PyDLL(None).sleep(600)

    def stubborn(self, service: Service, folder: str) -> None:
        while True:
            time.sleep(1)

    def floods(self, service: Service, folder: str) -> None:
        channel = service._channel  # type: ignore[attr-defined]  # breaking the protocol on purpose
        for number in range(1, 1 << 30):
            channel.write(b'{"class":"alert","id":%d,"alert":{"pad":"%b"}}\n' % (number, b"x" * 1000))

    def long(self, service: Service, folder: str) -> None:
        service._channel.write(b"x" * (3 << 20))  # type: ignore[attr-defined]  # breaking the protocol on purpose
        service.stopping.wait()

    def breeds(self, service: Service, folder: str) -> None:
        child = subprocess.Popen(["sleep", "300"])
        append(f"{folder}/children", f"{child.pid}\n")
        service.stopping.wait()

    def huge(self, service: Service, folder: str) -> None:
        service.alert({"small": 1, "text": "y" * (3 << 20), "list": ["z" * (2 << 20)]})
        service.alert({"name": "caf\u00e9 \udcff"})
        service.stopping.wait()

    def asks(self, service: Service, folder: str) -> None:
        def answer(raw: Any) -> ModuleResult:
            if raw == {"word": "raise"}:
                raise ValueError("no answer")
            return ModuleResult(True, True, raw)

        service.answer_with(answer)
        service.stopping.wait()
