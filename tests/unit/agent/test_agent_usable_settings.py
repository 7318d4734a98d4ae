"""New settings are used only if an agent could start with them; else the old stay in force and it goes on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mig_core.agent.reload import usable_settings
from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, *, api: str = 'api = "http://127.0.0.1:9"', more: str = "", state: str = "") -> Path:
    (folder / "keys").mkdir()
    (folder / "acl.json").write_text("{}")
    file = folder / "agent.toml"
    trust = f'[trust]\nkeys = "{folder}/keys"\nacl = "{folder}/acl.json"'
    file.write_text(f'state = "{state or folder / "state"}"\n[platform]\n{api}\n{more}\n{trust}\n')
    return file


def test_settings_that_an_agent_could_start_with_are_usable(tmp_path: Path) -> None:
    assert usable_settings(write(tmp_path)).platform.api == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("api", "more", "said"),
    [
        ("", "", "is missing"),
        ('api = "http://127.0.0.1:99999999"', "", "must name a host, and a port"),
        ('api = "https://"', "", "must name a host"),
        ('api = "http://127.0.0.1:9"', 'proxy = "bad"', "proxy"),
        ('api = "http://127.0.0.1:9"', 'relay = "amqp://h:99999999/mig"', "must be like amqps://"),
        ('api = "http://127.0.0.1:9"', 'relay = "amqp:///mig"', "must be like amqps://"),
    ],
)
def test_an_address_that_cannot_be_one_leaves_the_old_in_force(tmp_path: Path, api: str, more: str, said: str) -> None:
    file = write(tmp_path, api=api, more=more)

    with pytest.raises(ConfigurationError, match=said):
        usable_settings(file)


def test_a_state_directory_that_cannot_be_made_leaves_the_old_in_force(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = write(tmp_path, state=os.fspath(tmp_path / "file" / "state"))

    with pytest.raises(ConfigurationError, match="the state directory cannot be used"):
        usable_settings(file)
