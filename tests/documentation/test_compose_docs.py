"""``compose/README.md`` and the compose file say the same."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

COMPOSE = Path(__file__).parents[2] / "compose"
README = (COMPOSE / "README.md").read_text(encoding="utf-8")
YAML = (COMPOSE / "docker-compose.yml").read_text(encoding="utf-8")
NAMED = (
    "migworkstation",
    "migdb",
    "migrelay",
    "migscheduler",
    "migapi",
    "migagenthost1",
    "migagenthost2",
    "migagenthost3",
)


def section(name: str) -> str:
    """One top-level member of the compose file, without comments."""
    text = re.sub(r"(?m)^\s*#.*\n", "", YAML)
    found = re.search(rf"(?ms)^{name}:\n(.*?)(?=^\S|\Z)", text)
    assert found
    return found[1]


def test_the_services_are_the_eight_of_the_walkthrough() -> None:
    services = re.findall(r"(?m)^  ([a-z0-9]+):$", section("services"))

    assert sorted(services) == sorted(NAMED)


def test_the_readme_has_a_row_for_each_service() -> None:
    rows = re.findall(r"(?m)^\| `(mig[a-z0-9]+)` \|", README.partition("## What runs")[2].partition("\n## ")[0])

    assert sorted(rows) == sorted(NAMED)


def test_the_readme_names_every_volume() -> None:
    volumes = re.findall(r"(?m)^  ([a-z0-9]+): \{\}", section("volumes"))

    assert "miginvestigator" in volumes
    assert all(f"`{name}`" in README for name in volumes)


def test_the_readme_has_the_demonstration_files_real_digest() -> None:
    digest = hashlib.sha256((COMPOSE / "demofile").read_bytes()).hexdigest()

    assert f"-sha2 {digest}" in README


def test_nothing_is_latest_and_every_image_has_a_tag() -> None:
    images = re.findall(r"(?m)^\s+image: (\S+)", YAML)

    assert images
    assert all(re.fullmatch(r"mig/[a-z]+:\$\{MIG_TAG:-[0-9.]+\}", image) for image in images)
    assert "latest" not in YAML + (COMPOSE / "Dockerfile").read_text(encoding="utf-8")


def test_every_image_of_the_compose_file_is_a_target_of_the_dockerfile() -> None:
    stages = set(re.findall(r"(?m)^FROM \S+ AS ([a-z-]+)", (COMPOSE / "Dockerfile").read_text(encoding="utf-8")))

    assert set(re.findall(r"target: ([a-z-]+)", YAML)) | {"standalone"} <= stages


def test_no_secret_stands_in_the_compose_file() -> None:
    for name in re.findall(r"(?m)^\s+(MIG_\w*(?:PASSWORD|SECRET|KEY)\w*): (.+)$", YAML):
        assert re.fullmatch(r"\$\{MIG_\w+:[?-][^}]*\}", name[1]), name


def test_every_setting_is_written_by_setup_or_told_in_the_readme() -> None:
    setup = (COMPOSE / "setup").read_text(encoding="utf-8")

    for name in set(re.findall(r"\$\{(MIG_\w+|COMPOSE_\w+)", YAML)):
        known = name in setup or name in README or re.sub("_(API|RELAY)_", "_${name}_", name) in setup
        assert known, name
