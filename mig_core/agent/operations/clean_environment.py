"""What of the agent's environment variables a module's process gets: what programs need to run, and no secrets.

Service managers and administrators put more into it than they know: the password of a proxy, ``MIG_AGENT_*`` settings,
tokens. A module may have read hostile files, and its memory and environment are no place for them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_NEEDED = re.compile(r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_[A-Z]+|TZ|TZDIR|TMPDIR|LD_LIBRARY_PATH|PYTHON[A-Z]+")
_PROXY = re.compile(r"[a-z]+_proxy", re.IGNORECASE)


def clean_environment(
    environment: Mapping[str, str], *, keep: Collection[str] = (), proxies: bool = False
) -> dict[str, str]:
    """The variables for a module's process.

    Args:
        environment: the agent's.
        keep: names that the endpoint's owner lets through.
        proxies: whether the module opens connections, for which the environment may name proxies.
    """
    return {
        name: value
        for name, value in environment.items()
        if _NEEDED.fullmatch(name) or name in keep or (proxies and _PROXY.fullmatch(name))
    }
