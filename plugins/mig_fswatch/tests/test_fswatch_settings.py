from __future__ import annotations

import pytest

from mig_core.errors import ConfigurationError
from mig_fswatch import FswatchModule
from mig_fswatch.settings import Settings, read


def test_an_empty_table_watches_the_usual_places() -> None:
    assert read({}) == Settings()


def test_every_setting_is_read() -> None:
    settings = read(
        {
            "paths": ["/srv//www/", "~/.config"], "more_paths": ["/opt"], "exclude": ["/srv/*/cache"],
            "method": "inotify", "hash_up_to_mb": 0, "max_files": 10, "rescan": "12h", "queue_events": 1000,
            "keep_changes": 0, "baseline": "2026-11",
        }
    )  # fmt: skip

    assert settings.paths == ("/srv/www", "~/.config")
    assert settings.rescan == 43_200
    assert settings.keep_changes == 0


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"path": ["/etc"]}, "persistent.fswatch.path"),
        ({"paths": []}, "persistent.fswatch.paths"),
        ({"paths": "/etc"}, "persistent.fswatch.paths"),
        ({"paths": ["/etc", "usr"]}, "persistent.fswatch.paths[1]"),
        ({"paths": ["/etc/../root"]}, "persistent.fswatch.paths[0]"),
        ({"exclude": ["~/x"]}, "persistent.fswatch.exclude[0]"),
        ({"method": "fsevents"}, "persistent.fswatch.method"),
        ({"rescan": "1s"}, "persistent.fswatch.rescan"),
        ({"rescan": 60}, "persistent.fswatch.rescan"),
        ({"max_files": True}, "persistent.fswatch.max_files"),
        ({"hash_up_to_mb": -1}, "persistent.fswatch.hash_up_to_mb"),
    ],
)
def test_what_cannot_be_used_names_its_key(table: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        FswatchModule().check_config(table)  # type: ignore[arg-type]  # whatever TOML gives

    assert refused.value.key == key
