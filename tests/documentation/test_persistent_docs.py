"""docs/modules/persistent.md against the program: its example runs, its numbers and words are the code's."""

from __future__ import annotations

import json
import os
import re
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.agent.persistent.record import ModuleRecord, State
from mig_core.agent.persistent.timing import Timing
from mig_core.errors import ConfigurationError
from mig_core.plugin.persistent import MAX_LINE_BYTES, MAX_STATUS_BYTES, WINDOW, WINDOW_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (Path(__file__).parents[2] / "docs" / "modules" / "persistent.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())


def test_the_states_and_the_keys_of_health_are_the_programs() -> None:
    record = ModuleRecord("audit", False, Timing(), lambda: datetime.now(UTC))
    example = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None

    assert json.loads(example[1])["audit"].keys() == record.health().keys()
    for state in State:
        assert f"`{state}`" in PAGE


def test_the_limits_are_the_programs() -> None:
    timing = Timing()

    assert f"At most {WINDOW:,} alerts and {WINDOW_BYTES >> 20} MiB of one source" in WORDS
    assert f"longer than {MAX_LINE_BYTES >> 20} MiB is cut" in WORDS
    assert f"at most {MAX_STATUS_BYTES >> 10} KiB" in WORDS
    assert (timing.ping, timing.missed_pings, timing.first_pause, timing.longest_pause) == (10, 3, 1, 60)
    assert "pinged every ten seconds; three pings" in WORDS
    assert timing.start == 120
    assert "before it listens it has two minutes" in WORDS
    assert "after 1 s, then longer, at most 60 s" in WORDS


class Recorder:
    """A service that keeps what it is given."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.stopping = threading.Event()
        self.alerted = threading.Event()
        self.watching = threading.Event()
        self.alerts: list[Any] = []
        self.answer: Callable[[object], Any] = lambda _: None

    def status(self, status: Any) -> None:
        self.alerted.set()

    def alert(self, alert: Any) -> bool:
        self.alerts.append(alert)
        return True

    def answer_with(self, handler: Callable[[object], Any]) -> None:
        self.answer = handler
        self.watching.set()


def test_the_example_of_a_module_does_what_it_says(tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code[1], "example", "exec"), names)
    module = names["Watch"]()
    watched = tmp_path / "watched"
    watched.touch()
    service = Recorder({"path": str(watched)})

    with pytest.raises(ConfigurationError, match=r"persistent\.watch\.path"):
        module.check_config({})
    module.check_config(service.config)
    serving = threading.Thread(target=module.serve, args=(service,))
    serving.start()
    service.watching.wait(5)
    changed = 1_000_000_000
    while not service.alerted.wait(0.3):
        changed += 1_000_000_000
        os.utime(watched, ns=(changed, changed))
    service.stopping.set()
    serving.join()

    assert service.alerts[0]["path"] == str(watched)
    assert service.answer({}).elements["changes"] >= 1
