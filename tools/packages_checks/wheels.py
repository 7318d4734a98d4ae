"""A plugin's wheel, made by hand."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """\
from mig_core.domain.result import ModuleResult
from mig_core.plugin.coverage import Tally
from mig_core.plugin.module import Module, ModuleInfo
from mig_core.plugin.parameters import Parameters


class Hello(Module):
    info = ModuleInfo(name="hello", summary="says hello")
    parameters = Parameters()

    def parse_parameters(self, raw, *, strict=True):
        return None

    def run(self, parameters, context):
        return ModuleResult(True, True, {"hello": "world"}, coverage=Tally().coverage())
"""


def make_plugin(folder: Path) -> None:
    """``mig_plugin_hello-1.0-py3-none-any.whl`` in a folder."""
    about = "mig_plugin_hello-1.0.dist-info"
    files = {
        "mig_plugin_hello.py": MODULE,
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: mig-plugin-hello\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": "[mig.modules]\nhello = mig_plugin_hello:Hello\n",
    }
    record = "".join(f"{path},,\n" for path in files) + f"{about}/RECORD,,\n"
    with zipfile.ZipFile(folder / "mig_plugin_hello-1.0-py3-none-any.whl", "w") as archive:
        for place, text in {**files, f"{about}/RECORD": record}.items():
            archive.writestr(place, text)
