"""Which paths are watched where the settings name none: what starts by itself, what is started, and who may log in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.places.place import Reach, all_places

if TYPE_CHECKING:
    from mig_fswatch.settings import Settings

PROGRAMS_AND_ACCOUNTS = (
    "/boot/**", "/etc/**", "/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/",
    "~/.ssh/",
)  # fmt: skip
"""Besides the places that ``autorun`` looks at: programs, settings, keys that let somebody in."""
_ENDS = {Reach.FILE: "", Reach.ENTRIES: "/", Reach.BELOW: "/**"}


def usual() -> tuple[str, ...]:
    """The usual places, as patterns of :mod:`mig_fswatch.scope`."""
    spots = (spot.pattern + _ENDS[spot.reach] for place in all_places() for spot in place.spots)
    return tuple(dict.fromkeys((*PROGRAMS_AND_ACCOUNTS, *spots)))


def patterns_of(settings: Settings) -> tuple[str, ...]:
    """What the settings say is watched: a path stands for itself and everything below."""
    named = usual() if settings.paths is None else tuple(f"{one.rstrip('/')}/**" for one in settings.paths)
    more = tuple(f"{one.rstrip('/')}/**" for one in settings.more_paths)
    return tuple(dict.fromkeys((*named, *more)))
