"""Modules that behave in every way a module can behave; put on an endpoint by the ``endpoint`` fixtures.

Each takes ``{"word": text, "seconds": number}``; ``word`` usually names a file in which it leaves traces.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

from mig_core.domain.result import Coverage, ModuleResult
from mig_core.plugin.hooks import hookimpl
from mig_core.plugin.module import Context, Module, ModuleInfo
from mig_core.plugin.parameters import Kind, Parameter, Parameters, Values


class Trial(Module[Values]):
    parameters = Parameters(
        Parameter(name="word", key="word", help="a word"),
        Parameter(name="seconds", key="seconds", kind=Kind.INTEGER, minimum=0, maximum=600, help="how long"),
    )

    def parse_parameters(self, raw: object, *, strict: bool = True) -> Values:
        return self.parameters.parse(raw, strict=strict)


def info(name: str, **more: Any) -> ModuleInfo:
    return ModuleInfo(name=name, summary=f"behaves like {name}", **more)


def trace(path: str, text: str) -> None:
    with open(path, "a", encoding="ascii") as file:
        file.write(text + "\n")


class Echo(Trial):
    info = info("echo", preload=("colorsys", "no_such_module_anywhere"))

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        word = parameters.text("word")
        elements: Any = {"word": word, "tags": dict(context.tags), "preloaded": "colorsys" in sys.modules}
        return ModuleResult(bool(word), True, elements, coverage=Coverage(examined={"words": 1}))

    def mask(self, result: ModuleResult) -> ModuleResult:
        return ModuleResult(result.found, result.success, {"word": "masked"})


class Labelled(Trial):
    info = info("labelled")
    parameters = Parameters(Parameter(name="word", key="word", help="a word"), label="searches")

    def parse_parameters(self, raw: object, *, strict: bool = True) -> Any:
        return self.parameters.parse_labelled(raw, strict=strict)

    def run(self, parameters: Any, context: Context) -> ModuleResult:
        raise ValueError("nothing but trouble")


class Loud(Trial):
    info = info("loud")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        print("x" * 100_000)  # noqa: T201  it is what this module is for
        sys.stderr.write("y" * 100_000)
        os.write(1, b'{"foundanything":false}')
        return ModuleResult(True, True, "said")


class Failing(Trial):
    info = info("failing")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        return ModuleResult.failure("the cupboard is empty")


class Raising(Trial):
    info = info("raising")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        raise RuntimeError("over board")


class Exiting(Trial):
    info = info("exiting")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        os._exit(3)


class NotJson(Trial):
    info = info("notjson")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        return ModuleResult(True, True, object())  # type: ignore[arg-type]  # breaking the contract on purpose


class Stubborn(Trial):
    """Hands over what it found, then ignores its deadline."""

    info = info("stubborn")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        context.partial(ModuleResult(True, True, ["first"]))
        context.partial(ModuleResult(True, True, ["first", "second"]))
        if parameters.text("word"):
            trace(parameters.text("word"), str(os.getpid()))
        time.sleep(parameters.integer("seconds"))
        return ModuleResult(False, True, "never seen")


class Heedful(Trial):
    info = info("heedful")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        while not context.expired():
            time.sleep(0.01)
        return ModuleResult(True, True, ["some"], coverage=Coverage(complete=False))


class Hog(Trial):
    info = info("hog")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        context.partial(ModuleResult(True, True, ["before"]))
        kept = []
        while True:
            kept.append(bytearray(8 << 20))


class Huge(Trial):
    info = info("huge")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        return ModuleResult(True, True, "z" * (parameters.integer("seconds") << 20))


class Breeder(Trial):
    """Starts processes inside and outside its own group; they would live for minutes."""

    info = info("breeder")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        for own_session in (False, True):
            for _ in range(5):
                child = subprocess.Popen(["sleep", "300"], start_new_session=own_session)
                trace(parameters.text("word"), str(child.pid))
        time.sleep(parameters.integer("seconds"))
        return ModuleResult(True, True, None)


class Counting(Trial):
    """Leaves a line each time it is run, then sleeps."""

    info = info("counting")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        trace(parameters.text("word"), str(os.getpid()))
        time.sleep(parameters.integer("seconds"))
        return ModuleResult(True, True, None)


class AgentKiller(Trial):
    """Takes the agent down, as a bug in the kernel might: kills the grandparent."""

    info = info("agentkiller")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        trace(parameters.text("word"), "run")
        with open(f"/proc/{os.getppid()}/stat", encoding="ascii") as file:
            grandparent = int(file.read().rpartition(")")[2].split()[1])
        os.kill(grandparent, signal.SIGKILL)
        time.sleep(10)
        return ModuleResult(True, True, None)


class LauncherKiller(Trial):
    info = info("launcherkiller")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        context.partial(ModuleResult(True, True, ["before"]))
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(10)
        return ModuleResult(True, True, None)


class Confined(Trial):
    """Says what its process looks like."""

    info = info("confined")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        elements: Any = {
            "nice": os.nice(0),
            "leader": os.getpgid(0) == os.getsid(0) == os.getpid(),
            "stdin": os.readlink("/proc/self/fd/0"),
            "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd")),
            "environment": dict(context.environment),
            "threads": context.threads,
        }
        return ModuleResult(True, True, elements)


class CloudFacts:
    """An agent hook, not a module."""

    @hookimpl
    def mig_agent_environment(self, environment: Any) -> Any:
        return {"zone": "a", "seen": environment["os"]}

    @hookimpl
    def mig_operation_finished(self, module: str, success: bool, found: bool, seconds: float) -> None:
        trace(os.environ["MIG_TRIAL_FINISHED"], f"{module}:{success}:{found}:{seconds >= 0}")


class BrokenParser(Trial):
    info = info("brokenparser")

    def parse_parameters(self, raw: object, *, strict: bool = True) -> Values:
        raise ZeroDivisionError("in the parser")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        raise AssertionError("never run")


class Straying(Trial):
    """Leaves a process in a session of its own, with all its descriptors, whose parent is gone; then ends somehow."""

    info = info("straying")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                trace(parameters.text("word"), str(os.getpid()))
                time.sleep(300)
            os._exit(0)
        while not (os.path.exists(parameters.text("word")) and os.path.getsize(parameters.text("word"))):
            time.sleep(0.01)
        how = parameters.integer("seconds")
        if how == 0:
            os.kill(os.getpid(), signal.SIGSEGV)
        elif how == 1:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(10)
        return ModuleResult(True, True, None)


class Surroundings(Trial):
    info = info("surroundings")

    def run(self, parameters: Values, context: Context) -> ModuleResult:
        return ModuleResult(True, True, dict(os.environ))
