"""``mig-agent plugins``: what is added to an installed agent works, and what it came with stays as it is."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.testing.previous_release import make_release

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MODULE = """\
from mig_core.domain.result import ModuleResult
from mig_core.plugin.coverage import Tally
from mig_core.plugin.module import Module, ModuleInfo
from mig_core.plugin.parameters import Parameters


class Hello(Module):
    info = ModuleInfo(name="@name@", summary="says hello")
    parameters = Parameters()

    def parse_parameters(self, raw, *, strict=True):
        return None

    def run(self, parameters, context):
        return ModuleResult(True, True, {"hello": "@version@"}, coverage=Tally().coverage())
"""


@dataclass
class Agent:
    """An installed agent."""

    python: Path

    @property
    def site(self) -> Path:
        """Where its own distributions are."""
        (found,) = self.python.parents[1].glob("lib/python*/site-packages")
        return found

    @property
    def place(self) -> Path:
        """Where its plugins are."""
        return self.python.parents[1] / "plugins" / "current"

    def everything(self) -> dict[Path, bytes]:
        """Every file of what was added, and the names of what it came with."""
        added = {one: one.read_bytes() for one in self.place.rglob("*") if one.suffix in (".py", ".json")}
        return {**added, **dict.fromkeys(self.site.iterdir(), b"")}

    def plugins(self, *words: str, index: Path | None = None) -> subprocess.CompletedProcess[str]:
        """``mig-agent plugins``; libraries come from a folder, if at all."""
        source = {"PIP_NO_INDEX": "1", **({"PIP_FIND_LINKS": str(index)} if index else {})}
        return self._agent(["plugins", *words], environment={**os.environ, **source})

    def run_module(self, name: str) -> str:
        """What a module says."""
        return self._agent(["-m", name], said='{"class":"parameters","parameters":{}}').stdout

    def _agent(
        self, words: Sequence[str], *, environment: Mapping[str, str] | None = None, said: str = ""
    ) -> subprocess.CompletedProcess[str]:
        program = "import sys; from mig_core.agent.main import main; sys.exit(main())"
        return subprocess.run(
            [str(self.python), "-P", "-c", program, *words],
            input=said,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def listed(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.plugins("list", "--json").stdout)
        return rows

    def modules(self) -> list[str]:
        """What an agent that starts now finds."""
        program = "from mig_core.plugin.manager import PluginManager; print(*PluginManager().names())"
        ran = subprocess.run([str(self.python), "-P", "-c", program], capture_output=True, text=True, check=True)
        return ran.stdout.split()


@pytest.fixture
def agent(wheels: Path, tmp_path: Path) -> Agent:
    """An agent to which nothing was added."""
    return Agent(make_release(wheels, tmp_path / "agent"))


@pytest.fixture(scope="module")
def with_one(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Agent:
    """An agent to which one plugin was added, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("with-one")
    agent = Agent(make_release(wheels, folder / "agent"))
    added = agent.plugins("add", str(make_wheel(folder / "wheels", "mig-plugin-kept", module="kept")))
    assert added.returncode == 0, added.stderr
    return agent


def make_wheel(folder: Path, name: str, *, version: str = "1.0", module: str = "", requires: str = "") -> Path:
    """A plugin's wheel; without ``module`` it is a library, which is not Python at that."""
    package = name.replace("-", "_")
    about = f"{package}-{version}.dist-info"
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{package}.py": MODULE.replace("@name@", module).replace("@version@", version) if module else "this is none",
        f"{about}/METADATA": head + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": f"[mig.modules]\n{module or 'broken'} = {package}:Hello\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in files.items())
    files[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n"
    folder.mkdir(exist_ok=True)
    path = folder / f"{package}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, text in files.items():
            archive.writestr(place, text)
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def test_a_plugin_is_added_listed_replaced_and_removed(agent: Agent, tmp_path: Path) -> None:
    first = agent.plugins("add", str(make_wheel(tmp_path / "1", "mig-plugin-hello", module="hello")))
    second = agent.plugins("add", str(make_wheel(tmp_path / "2", "mig-plugin-hello", version="2.0", module="hello")))
    again = agent.plugins("add", str(tmp_path / "2" / "mig_plugin_hello-2.0-py3-none-any.whl"))

    assert (first.returncode, second.returncode, again.returncode) == (0, 0, 0), first.stderr + second.stderr
    assert again.stdout.endswith("is installed already, with all that it needs\n")
    (row,) = agent.listed()
    assert (row["name"], row["version"], row["problem"]) == ("mig-plugin-hello", "2.0", "")
    assert (
        row["sha256"]
        == hashlib.sha256((tmp_path / "2" / "mig_plugin_hello-2.0-py3-none-any.whl").read_bytes()).hexdigest()
    )
    assert agent.modules() == ["file", "hello"]
    assert '"hello":"2.0"' in agent.run_module("hello").replace(" ", "")
    removed = agent.plugins("remove", "mig_plugin_hello")
    assert removed.stdout == "mig-plugin-hello 2.0 removed\n"
    assert (agent.listed(), agent.modules()) == ([], ["file"])


def test_what_another_plugin_needs_comes_stays_and_goes_with_it(agent: Agent, tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    make_wheel(folder, "greeting", module="greeting")
    plugin = make_wheel(folder, "mig-plugin-hello", module="hello", requires="greeting>=1")

    added = agent.plugins("add", str(plugin), index=folder)

    assert added.returncode == 0, added.stderr
    assert {row["name"]: row["for_itself"] for row in agent.listed()} == {"greeting": False, "mig-plugin-hello": True}
    refused = agent.plugins("remove", "greeting")
    assert (refused.returncode, "is needed by another plugin" in refused.stderr) == (1, True)
    assert agent.plugins("remove", "mig-plugin-hello").stdout == "greeting 1.0 removed\nmig-plugin-hello 1.0 removed\n"
    assert agent.listed() == []


@pytest.mark.parametrize(
    ("name", "module", "requires", "why"),
    [
        ("mig-plugin-hello", "hello", "urllib3>=3", "pip could not have it"),
        ("mig-plugin-hello", "hello", "mig-core>=9", "pip could not have it"),
        ("mig-plugin-mine", "file", "", "claimed by more than one distribution"),
        ("mig-plugin-broken", "", "", "cannot be loaded, nothing was changed: NameError"),
        ("urllib3", "hello", "", "pip could not have it"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changes(
    with_one: Agent, tmp_path: Path, name: str, module: str, requires: str, why: str
) -> None:
    wheel = make_wheel(tmp_path / "wheels", name, version="9.0", module=module, requires=requires)
    before = with_one.everything()

    refused = with_one.plugins("add", str(wheel), index=tmp_path / "wheels")

    assert (refused.returncode, why in refused.stderr) == (1, True), refused.stderr
    assert with_one.everything() == before


def test_a_plugin_that_broke_since_is_listed_as_wrong(with_one: Agent) -> None:
    file = with_one.place / "mig_plugin_kept.py"
    sound = file.read_text(encoding="utf-8")
    file.write_text("import nothing_of_that_name\n", encoding="utf-8")

    listed = with_one.plugins("list")

    file.write_text(sound, encoding="utf-8")
    assert listed.returncode == 1
    assert "WRONG: cannot be loaded: ModuleNotFoundError: No module named 'nothing_of_that_name'" in listed.stdout


def test_the_index_says_when_it_cannot_be_read(with_one: Agent) -> None:
    file = with_one.place / "mig-plugins.json"
    sound = file.read_text(encoding="utf-8")
    file.write_text("[]", encoding="utf-8")

    listed = with_one.plugins("list")

    file.write_text(sound, encoding="utf-8")
    assert (listed.returncode, "is no index of plugins" in listed.stderr) == (1, True)
