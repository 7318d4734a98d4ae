"""npm packages: homes, links and stores, Plug'n'Play, as npm 12, pnpm 12, yarn 1 and 4, and bun 1.4 lay them."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from mig_endpoint.packages import homes

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

NOT_NAMED = "rest of the system, paths were named"
NOT_INSTALLED = "copy that is not installed"


@pytest.fixture
def described(write: Any) -> Callable[..., None]:
    """Writes the ``package.json`` of a package; its name is the last part of the path, or two with a scope."""

    def described(path: str, version: str = "1.0.0", name: str = "", **more: Any) -> None:
        parts = path.split("/")
        own = "/".join(parts[-2:] if parts[-2].startswith("@") else parts[-1:])
        write(f"{path}/package.json", json.dumps({"name": name or own, "version": version, **more}))

    return described


@pytest.mark.parametrize("pattern", homes.patterns(homes.NPM))
def test_every_home_is_looked_at(pattern: str, described: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    place = pattern.replace("~", "/var/lib/jenkins").replace("*", "x")
    described(f"{place}/evil")
    (tmp_path / "etc").mkdir(exist_ok=True)
    (tmp_path / "etc/passwd").write_text("jenkins:x:1:1::/var/lib/jenkins:/bin/false\n")

    said = ask("^evil$", root=str(tmp_path), types=["npm"], paths=["/etc"])

    assert [row["path"] for row in said.rows] == [f"{place}/evil"]


def test_any_node_modules_of_a_small_system_is_found(described: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    described("/data/deep/er/app/node_modules/evil")

    said = ask("^evil$", root=str(tmp_path), types=["npm"])

    assert said.names == ["evil"]
    assert said.complete


def test_npm_packages_inside_packages_are_found_once(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    for path, name, version in (
        ("/usr/lib/node_modules/npm", "npm", "9.2.0"),
        ("/usr/lib/node_modules/npm/node_modules/semver", "semver", "7.3.8"),
        ("/usr/lib/node_modules/npm/node_modules/@scope/inner", "@scope/inner", "1.0.0-rc.1"),
        ("/srv/app/node_modules/lodash", "lodash", "4.17.20"),
        ("/srv/app/node_modules/lodash/node_modules/deep", "deep", "0.1.0"),
    ):
        write(f"{path}/package.json", json.dumps({"name": name, "version": version}))
    write("/usr/lib/node_modules/bad/package.json", "{")
    write("/usr/lib/node_modules/worse/package.json", "[" * 100_000)
    write("/srv/app/node_modules/.package-lock.json", "{}")

    said = ask(".", root=str(tmp_path), types=["npm"], paths=["/srv", "/srv/app"])

    assert sorted(said.names) == ["@scope/inner", "deep", "lodash", "npm", "semver"]
    assert said.reasons == {"record not understood": 2, NOT_NAMED: 1}
    assert ask("^lodash$", version="<4.17.21", root=str(tmp_path), types=["npm"], paths=["/srv"]).result.found


def test_an_alias_is_found_by_its_own_name(described: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    described("/srv/app/node_modules/old", "4.17.20", "lodash")

    assert ask("^lodash$", root=str(tmp_path), types=["npm"]).names == ["lodash"]


@pytest.mark.parametrize("target", ["../deps/node_modules", "/data/deps/other"])
def test_node_modules_that_is_a_link_is_followed(target: str, described: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    described("/data/deps/node_modules/evil")
    described("/data/deps/other/evil")
    (tmp_path / "data/app").mkdir()
    (tmp_path / "data/app/node_modules").symlink_to(target)

    said = ask("^evil$", root=str(tmp_path), types=["npm"], paths=["/data/app"])

    assert said.names == ["evil"]
    assert said.complete


def test_pnpm_s_packages_are_given_once_and_where_they_are(described: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    store = "/srv/app/node_modules/.pnpm"
    described(f"{store}/is-odd@3.0.1/node_modules/is-odd")
    described(f"{store}/is-number@6.0.0/node_modules/is-number")
    (tmp_path / f"{store[1:]}/is-odd@3.0.1/node_modules/is-number").symlink_to(
        "../../is-number@6.0.0/node_modules/is-number"
    )
    (tmp_path / "srv/app/node_modules/is-odd").symlink_to(".pnpm/is-odd@3.0.1/node_modules/is-odd")

    said = ask(".", root=str(tmp_path), types=["npm"])

    assert sorted(row["path"] for row in said.rows) == [
        f"{store}/is-number@6.0.0/node_modules/is-number",
        f"{store}/is-odd@3.0.1/node_modules/is-odd",
    ]


def test_a_package_in_pnpm_s_store_is_installed_where_a_link_leads_to_it(
    described: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    store = "root/.local/share/pnpm/store/v11"
    for name in ("wanted", "needed", "removed"):
        described(f"/{store}/links/@/{name}/1.0.0/abc/node_modules/{name}")
    (tmp_path / store / "files").mkdir()
    (tmp_path / store / "links/@/wanted/1.0.0/abc/node_modules/needed").symlink_to(
        "../../../../needed/1.0.0/abc/node_modules/needed"
    )
    installed = tmp_path / "root/.local/share/pnpm/global/v11/1-2/node_modules"
    installed.mkdir(parents=True)
    (installed / "wanted").symlink_to("../../../../store/v11/links/@/wanted/1.0.0/abc/node_modules/wanted")

    old = "/root/.local/share/pnpm/global/5"
    for name in ("kept", "dropped"):
        described(f"{old}/.pnpm/{name}@1.0.0/node_modules/{name}")
    described(f"{old}/.pnpm/below@1.0.0/node_modules/below")
    (tmp_path / old[1:] / ".pnpm/kept@1.0.0/node_modules/below").symlink_to("../../below@1.0.0/node_modules/below")
    (tmp_path / old[1:] / "node_modules").mkdir()
    (tmp_path / old[1:] / "node_modules/kept").symlink_to("../.pnpm/kept@1.0.0/node_modules/kept")

    said = ask(".", root=str(tmp_path), types=["npm"])

    assert sorted(said.names) == ["below", "kept", "needed", "wanted"]
    assert said.reasons == {NOT_INSTALLED: 2}
    assert said.complete


@pytest.mark.parametrize("place", ["/srv/app/.yarn/cache", "/home/ada/.yarn/berry/cache"])
def test_yarn_s_zip_files_that_no_project_at_hand_installed_are_booked(
    place: str, write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    write(f"{place}/evil-npm-1.0.0-abc-10c0.zip", "PK")

    said = ask("^evil$", root=str(tmp_path), types=["npm"], paths=["/srv" if "srv" in place else "/home"])

    assert said.reasons == {NOT_INSTALLED: 1, NOT_NAMED: 1}


def test_the_stores_of_bun_deno_and_yarn_are_looked_into(described: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    described("/srv/bun/node_modules/.bun/lodash@4.17.21/node_modules/lodash", "4.17.21")
    described("/srv/deno/node_modules/.deno/chalk@5.3.0/node_modules/chalk", "5.3.0")
    described("/srv/bun/node_modules/.bun/@babel+core@7.0.0/node_modules/@babel/core", "7.0.0")
    described("/srv/yarn/node_modules/.store/react-redux-virtual-aaa/package", "9.1.2", "react-redux")
    described("/srv/yarn/node_modules/.store/react-redux-virtual-bbb/package", "9.1.2", "react-redux")
    (tmp_path / "srv/yarn/node_modules/react-redux").symlink_to(".store/react-redux-virtual-aaa/package")

    said = ask(".", root=str(tmp_path), types=["npm"])

    assert sorted(said.names) == ["@babel/core", "chalk", "lodash", "react-redux", "react-redux"]
    assert said.complete


def test_private_workspaces_are_no_packages_and_linked_ones_are(
    described: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    described("/srv/app/packages/mine", private=True)
    described("/srv/app/packages/published")
    described("/srv/app/packages/mine/node_modules/needed")
    described("/srv/app/node_modules/vendored", private=True)
    for name in ("mine", "published", "gone"):
        (tmp_path / "srv/app/node_modules" / name).symlink_to(f"../packages/{name}")

    said = ask(".", root=str(tmp_path), types=["npm"])

    assert sorted(said.names) == ["needed", "published", "vendored"]
    assert said.complete


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/app/node_modules/@scope", ["@scope/a", "@scope/b", "inner"]),
        ("/data/app/node_modules/@scope/a", ["@scope/a", "inner"]),
        ("/data/app/node_modules/plain", ["plain"]),
        ("/data/app/node_modules/@scope/a/node_modules", ["inner"]),
        ("/data/app/packages/elsewhere", []),
    ],
)
def test_a_scope_or_a_package_may_be_the_path(
    path: str, expected: list[str], described: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    for place in ("@scope/a", "@scope/b", "plain", "@scope/a/node_modules/inner"):
        described(f"/data/app/node_modules/{place}")
    described("/data/app/packages/elsewhere")

    assert sorted(ask(".", root=str(tmp_path), types=["npm"], paths=[path]).names) == expected


def test_caches_are_not_installed_and_what_was_run_once_is(described: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    described("/root/.npm/_npx/0a1b/node_modules/evil-npx")
    described("/root/.cache/pnpm/dlx/0a1b/1-2/node_modules/.pnpm/evil-dlx@1/node_modules/evil-dlx")
    described("/root/.bun/install/cache/.bunx-0/evil-bunx@1.6.0/node_modules/evil-bunx")
    described("/root/.cache/yarn/v6/npm-cached-1.0.0-abc-integrity/node_modules/cached")

    said = ask(".", root=str(tmp_path), types=["npm"])

    assert sorted(said.names) == ["evil-bunx", "evil-dlx", "evil-npx"]
    assert said.reasons == {NOT_INSTALLED: 1}


@pytest.mark.parametrize(
    ("cache", "paths"),
    [
        ("/root/.bun/install/cache", []),
        ("/data/bun", []),
        ("/data/bun", ["/data"]),
        ("/data/bun", ["/data/bun/lodash@4.17.20@@@1", "/data/bun/@babel"]),
    ],
)
def test_what_bun_runs_from_its_cache_is_found(
    cache: str, paths: list[str], described: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    described(f"{cache}/lodash@4.17.20@@@1", "4.17.20")
    described(f"{cache}/lodash@4.17.20@@@1/node_modules/bundled")
    described(f"{cache}/@babel/core@7.0.0@@@1", "7.0.0")

    said = ask(".", root=str(tmp_path), types=["npm"], paths=paths)

    assert sorted(row["path"] for row in said.rows) == [
        f"{cache}/@babel/core@7.0.0@@@1",
        f"{cache}/lodash@4.17.20@@@1",
        f"{cache}/lodash@4.17.20@@@1/node_modules/bundled",
    ]
    assert said.complete


@pytest.mark.parametrize(
    ("cache", "paths"),
    [
        ("/root/.cache/deno", []),
        ("/deno-dir", []),
        ("/data/deno", []),
        ("/data/deno", ["/data"]),
        (
            "/data/deno",
            ["/data/deno/npm/registry.npmjs.org/lodash/4.17.20", "/data/deno/npm/registry.npmjs.org/@babel"],
        ),
    ],
)
def test_what_deno_runs_from_its_cache_is_found(
    cache: str, paths: list[str], described: Any, write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    top = f"{cache}/npm/registry.npmjs.org"
    for name, version in (("lodash", "4.17.20"), ("@babel/core", "7.0.0-rc.1")):
        write(f"{top}/{name}/registry.json", "{}")
        described(f"{top}/{name}/{version}", version)
    described(f"{top}/lodash/4.17.20/node_modules/bundled")

    said = ask(".", root=str(tmp_path), types=["npm"], paths=paths)

    assert sorted((row["path"], row["version"]) for row in said.rows) == [
        (f"{top}/@babel/core/7.0.0-rc.1", "7.0.0-rc.1"),
        (f"{top}/lodash/4.17.20", "4.17.20"),
        (f"{top}/lodash/4.17.20/node_modules/bundled", "1.0.0"),
    ]
    assert said.complete


def test_a_project_that_has_a_registry_of_its_own_is_no_package(
    described: Any, write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    write("/srv/app/registry.json", "{}")
    described("/srv/app/web")

    assert ask(".", root=str(tmp_path), types=["npm"], paths=["/srv"]).names == []


def registry(**places: str) -> str:
    packages: list[Any] = [[None, [[None, {"packageLocation": "./"}]]]]
    packages += [[name, [["npm:1.0.0", {"packageLocation": place}]]] for name, place in places.items()]
    packages.append(["mine", [["workspace:.", {"packageLocation": "./"}]]])
    return json.dumps({"ignorePatternData": "(^\\.yarn'`$)", "packageRegistryData": packages}, indent=1)


def quoted(text: str, quote: str) -> str:
    inner = text.replace("\\", "\\\\").replace(quote, f"\\{quote}").replace("\n", "\\\n")
    return f"{quote}{inner}{quote}"


@pytest.fixture
def zipped(tmp_path: pathlib.Path) -> Callable[[str, str], None]:
    def zipped(path: str, name: str) -> None:
        file = tmp_path / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(f"node_modules/{name}/package.json", json.dumps({"name": name, "version": "1.0.0"}))

    return zipped


YARN_2 = "function $$SETUP_STATE(hydrateRuntimeState, basePath) {{\n  return hydrateRuntimeState({}, {{basePath}});\n}}"
YARN_3 = YARN_2.replace("{}, ", "JSON.parse({}), ")


@pytest.mark.parametrize(
    ("file", "form", "quote"),
    [
        (".pnp.cjs", "const RAW_RUNTIME_STATE =\n{};\nrequire('x');", "'"),
        (".pnp.cjs", "const RAW_RUNTIME_STATE = {};", "`"),
        (".pnp.cjs", "const RAW_RUNTIME_STATE = {};", '"'),
        (".pnp.cjs", YARN_3, "'"),
        (".pnp.js", YARN_2, ""),
    ],
)
def test_a_plug_and_play_project_is_read(
    file: str, form: str, quote: str, write: Any, zipped: Any, described: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    zipped("/srv/app/.yarn/cache/own-npm-1.0.0-abc-10c0.zip", "own")
    zipped("/root/.yarn/berry/cache/shared-npm-1.0.0-abc-10c0.zip", "shared")
    zipped("/srv/app/.yarn/cache/removed-npm-1.0.0-abc-10c0.zip", "removed")
    described("/srv/app/.yarn/unplugged/native-npm-1-abc/node_modules/native")
    state = registry(
        own="./.yarn/cache/own-npm-1.0.0-abc-10c0.zip/node_modules/own/",
        shared="./.yarn/__virtual__/shared-virtual-aaa/3/root/.yarn/berry/cache/shared-npm-1.0.0-abc-10c0.zip"
        "/node_modules/shared/",
        native="./.yarn/unplugged/native-npm-1-abc/node_modules/native/",
    )
    write(f"/srv/app/{file}", form.format(quoted(state, quote) if quote else state.replace("\n ]", ",\n ]")))

    said = ask(".", root=str(tmp_path), types=["npm"], paths=["/srv/app"])

    assert sorted(said.names) == ["native", "own", "shared"]
    assert next(row["path"] for row in said.rows if row["name"] == "own") == (
        "/srv/app/.yarn/cache/own-npm-1.0.0-abc-10c0.zip/node_modules/own"
    )
    assert said.complete


def test_a_plug_and_play_project_with_its_data_beside_it_is_read(
    write: Any, zipped: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    zipped("/srv/app/.yarn/cache/own.zip", "own")
    write("/srv/app/.pnp.cjs", "require('./.pnp.data.json')")
    write("/srv/app/.pnp.data.json", registry(own="./.yarn/cache/own.zip/node_modules/own/"))

    assert ask(".", root=str(tmp_path), types=["npm"]).names == ["own"]


@pytest.mark.parametrize("state", ["const x = 1;", "const RAW_RUNTIME_STATE = '{';", "const RAW_RUNTIME_STATE = '[]"])
def test_a_plug_and_play_file_of_another_form_is_said(state: str, write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/srv/app/.pnp.cjs", state)

    said = ask(".", root=str(tmp_path), types=["npm"], paths=["/srv"])

    assert not said.complete


def test_a_zip_file_that_is_gone_or_none_is_said(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/srv/app/bad.zip", "no zip")
    state = registry(a="./bad.zip/node_modules/a/", b="./no.zip/node_modules/b/")
    write("/srv/app/.pnp.cjs", f"const RAW_RUNTIME_STATE = {quoted(state, '`')}")

    said = ask(".", root=str(tmp_path), types=["npm"])

    assert said.reasons["package database unreadable"] == 2
