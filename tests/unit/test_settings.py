"""Settings: defaults < file < environment < command line, and errors that name the place."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.config.agent import AgentSettings
from mig_core.config.client import ClientSettings
from mig_core.config.loader import describe, load_settings, named_files
from mig_core.config.server import ApiSettings, SchedulerSettings, inline_or_file
from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def load(
    path: Path, text: str, environment: dict[str, str] | None = None, overrides: dict[str, Any] | None = None
) -> AgentSettings:
    file = path / "agent.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(AgentSettings, role="agent", path=file, environment=environment or {}, overrides=overrides)


@pytest.mark.parametrize("kind", [AgentSettings, ApiSettings, SchedulerSettings, ClientSettings])
def test_every_role_has_usable_defaults(kind: type[object]) -> None:
    assert load_settings(kind, role="any", path=None, environment={}) == kind()


def test_each_source_wins_over_the_one_before(tmp_path: Path) -> None:
    text = 'heartbeat_interval = "60s"\nname = "file"\n[tags]\nowner = "it"\n'
    environment = {"MIG_AGENT_NAME": "environment", "MIG_AGENT_MODULES_THREADS": "4", "MIG_AGENT_TAGS": "a=b, c=d"}

    settings = load(tmp_path, text, environment, {"name": "flag", "log_level": None})

    assert settings.heartbeat_interval == timedelta(seconds=60)
    assert (settings.name, settings.modules.threads, settings.tags) == ("flag", 4, {"a": "b", "c": "d"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("heartbeat_interval = 300", 'agent.toml: heartbeat_interval: must be a duration like "300s"'),
        ("[modules]\nmemory_mb = 1", "agent.toml: modules: memory_mb must be from 32"),
        ("[modules]\ntimeout = '5'", "agent.toml: modules.timeout: must be a duration"),
        ("[modules]\ntimout = '5s'", "agent.toml: modules.timout: is not a known key"),
        ("[platform]\nrelay = 'http://x'", "agent.toml: platform: relay must begin with amqps://"),
        ("modules = 3", "agent.toml: modules: must be a table"),
        ("name = 3", "agent.toml: name: must be a text"),
        ("tags = { a = 1 }", "agent.toml: tags: must be a table of texts"),
        ("this is not toml", "is not TOML"),
    ],
)
def test_an_error_names_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, text)

    assert said in str(refused.value)


def test_a_misspelt_key_gets_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, "[modules]\ntimout = '5s'")

    assert refused.value.next_step == "did you mean timeout?"


def test_an_error_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="MIG_AGENT_MODULES_THREADS"):
        load(tmp_path, "", {"MIG_AGENT_MODULES_THREADS": "many"})


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_settings(AgentSettings, role="agent", path=tmp_path / "nosuch.toml", environment={})


def test_a_secret_may_stand_in_a_file_of_its_own_but_not_in_both(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql:///mig\n", encoding="utf-8")

    assert inline_or_file("database.url", "", secret) == "postgresql:///mig"
    assert inline_or_file("database.url", "x", None) == "x"
    with pytest.raises(ConfigurationError, match="not both"):
        inline_or_file("database.url", "x", secret)


def test_every_setting_can_be_described() -> None:
    rows = {key: (kind, default) for key, kind, default in describe(AgentSettings)}

    assert rows["heartbeat_interval"] == ("duration", "5m")
    assert rows["platform.tls.ca_file"] == ("path", "None")


def test_every_file_that_settings_name_is_one_that_a_scheduler_watches(tmp_path: Path) -> None:
    keys = [name for name, _, _ in describe(SchedulerSettings) if name.endswith("_file")]
    assert "webhook.secret_file" in keys

    tables: dict[str, list[str]] = {}
    for number, key in enumerate(keys):
        table, _, name = key.rpartition(".")
        tables.setdefault(table, []).append(f'{name} = "/named/{number}"')
    file = tmp_path / "scheduler.toml"
    file.write_text("".join(f"[{table}]\n" + "\n".join(lines) + "\n" for table, lines in tables.items()))
    settings = load_settings(SchedulerSettings, role="scheduler", path=file, environment={})

    assert sorted(map(str, named_files(settings))) == sorted(f"/named/{number}" for number in range(len(keys)))
