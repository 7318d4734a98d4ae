"""conda's packages, as rattler 0.28 records them; conda's own records have the same members."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import pathlib

    Installed = Any

OPENSSL = {"name": "openssl", "version": "1.1.1w", "build": "h7f8727e_0", "build_number": 0, "subdir": "linux-64"}


@pytest.fixture
def installed(write: Any) -> Installed:
    """Records a package in an environment."""

    def installed(environment: str, **members: Any) -> None:
        record = {**OPENSSL, "files": ["lib/libssl.so.1.1"], "link": {"source": "cache", "type": 1}, **members}
        name = f"{record['name']}-{record['version']}-{record['build']}.json"
        write(f"{environment}/conda-meta/history", "==> 2026-11-29 11:40:00 <==\n")
        write(f"{environment}/conda-meta/{name}", json.dumps(record))

    return installed


@pytest.mark.parametrize(
    "environment",
    [
        *("/opt/conda", "/opt/conda/envs/x", "/root/miniconda3", "/root/micromamba/envs/x", "/root/.conda/envs/x"),
        *(
            "/root/.pixi/envs/x",
            "/srv/app/.pixi/envs/default",
            "/root/.local/share/mamba/envs/x",
            "/data/deep/down/env",
        ),
    ],
)
def test_what_is_installed_in_an_environment_is_found(
    environment: str, installed: Installed, ask: Any, tmp_path: pathlib.Path
) -> None:
    installed(environment)
    installed(environment, name="tzdata", version="2024a", subdir="noarch")

    said = ask(".", root=str(tmp_path), types=["conda"])

    assert [(row["name"], row["version"], row["arch"], row["type"]) for row in said.rows] == [
        ("openssl", "1.1.1w", "linux-64", "conda"),
        ("tzdata", "2024a", "noarch", "conda"),
    ]
    assert said.rows[0]["path"] == f"{environment}/conda-meta/openssl-1.1.1w-h7f8727e_0.json"
    assert said.complete
    assert ask("^openssl$", version="<1.1.1", root=str(tmp_path), types=["all"]).names == ["openssl"]
    assert ask("^openssl$", version=">=1.1.1", root=str(tmp_path), types=["conda"]).names == []


def test_that_there_is_no_environment_is_said(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/root/projects/readme", "")
    write("/opt/tool/bin/tool", "")

    said = ask(".", root=str(tmp_path), types=["conda"])

    assert said.reasons == {"no directory of packages found": 1}


def test_an_environment_may_be_the_path(installed: Installed, ask: Any, tmp_path: pathlib.Path) -> None:
    installed("/data/one")
    installed("/data/two", name="zlib", version="1.3")

    assert ask(".", root=str(tmp_path), types=["conda"], paths=["/data/one"]).names == ["openssl"]
    assert ask(".", root=str(tmp_path), types=["conda"], paths=["/data/two/conda-meta"]).names == ["zlib"]


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"name": "x"}', '{"name": 1, "version": "1"}', '{"name": "x", "version": ""}']
)
def test_a_record_that_is_none_is_said(content: str, write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/opt/conda/conda-meta/x-1-0.json", content)

    said = ask(".", root=str(tmp_path), types=["conda"])

    assert said.reasons == {"record not understood": 1}
