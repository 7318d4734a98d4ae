"""The homes of language packages: where the tools that install them put them.

Each was seen with the tool itself or stands in its manual. ``*`` stands for any one name, ``~`` in front for the home
directory of every account, also of those that services run as. ``docs/modules/pkg.md`` has the same table; a test
compares the two. ``search`` looks there first, and then elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping

Homes = Mapping[str, tuple[str, ...]]
"""Places, as patterns, by whose they are."""

PYTHON_SITES = tuple(
    f"{library}/{kind}"
    for library in ("lib/python*", "lib64/python*", "lib/pypy*")
    for kind in ("site-packages", "dist-packages")
)
"""Where an installation of Python, or an environment, has its distributions; Debian's has them in the second kind."""
PYTHON: Homes = {
    "system": ("/usr", "/usr/local"),
    "user": ("~/.local",),
    "applications": ("/opt/*", "/opt/*/*", "/srv/*", "/srv/*/*", "/var/www/*/*"),
    "environments": ("~/*", "~/*/venv", "~/*/.venv", "~/.virtualenvs/*", "~/.venvs/*"),
    "pyenv": ("~/.pyenv/versions/*", "~/.pyenv/versions/*/envs/*", "/usr/local/pyenv/versions/*"),
    "asdf": ("~/.asdf/installs/python/*", "/opt/asdf/installs/python/*"),
    "mise": (
        "~/.local/share/mise/installs/*/*",
        "~/.local/share/mise/installs/*/*/*",
        "/usr/local/share/mise/installs/*/*",
    ),
    "uv": ("~/.local/share/uv/tools/*", "~/.local/share/uv/python/*", "~/.cache/uv/environments-v*/*"),
    "pipx": ("~/.local/share/pipx/venvs/*", "~/.local/pipx/venvs/*", "/opt/pipx/venvs/*"),
    "conda": (
        "~/*/envs/*",
        "~/.conda/envs/*",
        "/opt/*/envs/*",
        "/usr/local/*conda*",
        "/usr/local/*conda*/envs/*",
    ),
    "poetry": ("~/.cache/pypoetry/virtualenvs/*",),
    "pipenv": ("~/.local/share/virtualenvs/*",),
    "pdm": ("~/.local/share/pdm/venvs/*",),
    "hatch": ("~/.local/share/hatch/env/virtual/*/*/*",),
}
NPM: Homes = {
    "system": (
        "/usr/lib/node_modules",
        "/usr/lib/*/nodejs",
        "/usr/lib/nodejs",
        "/usr/lib64/node_modules",
        "/usr/local/lib/node_modules",
        "/usr/local/lib64/node_modules",
        "/usr/share/nodejs",
        "/usr/share/node_modules",
    ),
    "applications": (
        "/opt/*/lib/node_modules",
        "/opt/*/node_modules",
        "/srv/*/node_modules",
        "/var/www/*/node_modules",
        "/usr/src/app/node_modules",
        "/app/node_modules",
    ),
    "user": ("~/node_modules", "~/*/node_modules", "~/lib/node_modules", "~/.local/lib/node_modules"),
    "npm": ("~/.npm-global/lib/node_modules", "~/.npm-packages/lib/node_modules", "~/.npm/_npx/*/node_modules"),
    "yarn": (
        "~/.config/yarn/global/node_modules",
        "~/.yarn-global/node_modules",
        "/usr/local/share/.config/yarn/global/node_modules",
    ),
    "pnpm": (
        "~/.local/share/pnpm/global/*/node_modules",
        "~/.local/share/pnpm/global/*/*/node_modules",
        "~/.cache/pnpm/dlx/*/*/node_modules",
        "~/.pnpm-global/*/node_modules",
    ),
    "bun": (
        "~/.bun/install/global/node_modules",
        "~/.bun/install/cache",
        "~/.bun/install/cache/.bunx-*/*/node_modules",
    ),
    "deno": (
        "~/.cache/deno/npm/*/*",
        "~/.cache/deno/npm/*/@*/*",
        "~/.deno/bin/.*/node_modules",
        "/deno-dir/npm/*/*",
        "/deno-dir/npm/*/@*/*",
    ),
    "nvm": ("~/.nvm/versions/node/*/lib/node_modules", "~/.config/nvm/versions/node/*/lib/node_modules"),
    "fnm": (
        "~/.local/share/fnm/node-versions/*/installation/lib/node_modules",
        "~/.fnm/node-versions/*/installation/lib/node_modules",
    ),
    "volta": (
        "~/.volta/tools/image/packages/*/lib/node_modules",
        "~/.volta/tools/image/packages/@*/*/lib/node_modules",
        "~/.volta/tools/image/node/*/lib/node_modules",
        "~/.volta/tools/image/npm/*/lib/node_modules",
    ),
    "n": ("/usr/local/n/versions/node/*/lib/node_modules", "~/n/lib/node_modules", "~/.n/lib/node_modules"),
    "nodenv": ("~/.nodenv/versions/*/lib/node_modules",),
    "asdf": ("~/.asdf/installs/nodejs/*/lib/node_modules", "~/.asdf/installs/nodejs/*/.npm/lib/node_modules"),
    "mise": (
        "~/.local/share/mise/installs/*/*/lib/node_modules",
        "/usr/local/share/mise/installs/*/*/lib/node_modules",
    ),
}
CONDA: Homes = {
    "system": ("/opt/*", "/opt/*/envs/*", "/usr/local/*conda*", "/usr/local/*conda*/envs/*"),
    "user": ("~/*", "~/*/envs/*", "~/.conda/envs/*", "~/.local/share/*/envs/*", "~/.cache/*/envs/*"),
    "pixi": ("~/.pixi/envs/*", "~/*/.pixi/envs/*", "/srv/*/.pixi/envs/*", "/app/.pixi/envs/*"),
}
GEM: Homes = {
    "system": (
        "/usr/share/rubygems-integration/*",
        "/usr/lib/*/rubygems-integration/*",
        "/usr/share/gems",
        "/usr/share/ruby/gems/*",
        "/usr/lib/ruby/gems/*",
        "/usr/lib64/ruby/gems/*",
        "/usr/lib/*/ruby/gems/*",
        "/usr/local/lib/ruby/gems/*",
        "/usr/local/share/gems",
        "/usr/local/bundle",
        "/var/lib/gems/*",
    ),
    "applications": (
        "/opt/*/lib/ruby/gems/*",
        "/opt/*/embedded/lib/ruby/gems/*",
        "/opt/*/vendor/bundle/ruby/*",
        "/srv/*/vendor/bundle/ruby/*",
        "/var/www/*/vendor/bundle/ruby/*",
        "/app/vendor/bundle/ruby/*",
    ),
    "user": ("~/.gem/ruby/*", "~/.local/share/gem/ruby/*", "~/.bundle/ruby/*", "~/*/vendor/bundle/ruby/*"),
    "rbenv": (
        "~/.rbenv/versions/*/lib/ruby/gems/*",
        "/usr/local/rbenv/versions/*/lib/ruby/gems/*",
        "/opt/rbenv/versions/*/lib/ruby/gems/*",
    ),
    "rvm": (
        "~/.rvm/gems/*",
        "~/.rvm/rubies/*/lib/ruby/gems/*",
        "/usr/local/rvm/gems/*",
        "/usr/local/rvm/rubies/*/lib/ruby/gems/*",
        "/usr/share/rvm/gems/*",
        "/usr/share/rvm/rubies/*/lib/ruby/gems/*",
    ),
    "chruby": ("~/.rubies/*/lib/ruby/gems/*", "/opt/rubies/*/lib/ruby/gems/*"),
    "asdf": ("~/.asdf/installs/ruby/*/lib/ruby/gems/*", "/opt/asdf/installs/ruby/*/lib/ruby/gems/*"),
    "mise": ("~/.local/share/mise/installs/ruby/*/lib/ruby/gems/*",),
}
GEM_SITES = ("specifications",)
"""``default`` below it has the gems that Ruby brings along."""


def patterns(homes: Homes, sites: tuple[str, ...] = ()) -> tuple[str, ...]:
    """All patterns, in the table's order; with ``sites``, each of these below each place."""
    places = [place for whose in homes.values() for place in whose]
    return tuple(f"{place}/{site}" for place in places for site in sites) if sites else tuple(places)
