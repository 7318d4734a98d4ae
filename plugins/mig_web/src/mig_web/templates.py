"""HTML from templates. The only file that imports Jinja2.

Everything is escaped twice over: what has no shape of its own (control characters, bidirectional marks) is spelt out
(:func:`mig_core.text.visible`), then HTML is escaped. Only :func:`lines_of` lets line breaks pass.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup, escape

from mig_core.domain.times import parse_time
from mig_core.text import visible
from mig_web.assets import address_of

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_CELL = 400
"""Characters of a cell that are shown; the rest is to be had from the answer itself."""
SHORT_CELL = 40
"""Characters of a cell that stands on one line."""
LONGEST_BLOCK = 200_000


class Templates:
    """The templates of this package, and of nothing else."""

    def __init__(self, **everywhere: Any) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("mig_web"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            finalize=_shown,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(everywhere, asset=address_of)
        self._environment.filters.update(
            moment=moment, ago=ago, cell=cell, lines=lines_of, field=field_value, json=compact, number=number
        )

    def html(self, template: str, context: Mapping[str, Any]) -> str:
        """A page, or a part of one."""
        return self._environment.get_template(template).render(context)


def _shown(value: Any) -> Any:
    """What a template puts out."""
    if isinstance(value, Markup):
        return value
    return visible(str(value)) if value is not None else ""


def field_value(text: str) -> Markup:
    """A form's own text back in its field: escaped, and otherwise as it was typed."""
    return escape(str(text))


def lines_of(text: str, *, whole: bool = False) -> Markup:
    """A text of several lines, each visible; a very long one is cut with a note, unless the ``whole`` is wanted."""
    rest = 0 if whole else len(text) - LONGEST_BLOCK
    shown = escape("\n".join(visible(line) for line in (text if rest <= 0 else text[:LONGEST_BLOCK]).split("\n")))
    return shown if rest <= 0 else shown + escape(f"\n… and {rest:,} characters more")


def number(value: Any) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def compact(value: Any) -> str:
    """JSON in ASCII, for an attribute."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def moment(text: str | None) -> Markup:
    """A time in UTC, and in this machine's own where that differs; empty where there is none."""
    if not text:
        return Markup("")
    try:
        at = parse_time(text)
        here = at.astimezone()
    except (ValueError, OverflowError):  # years 1 and 9999 have no time here
        return escape(visible(text[:40]))
    local = "" if here.utcoffset() == UTC.utcoffset(None) else f" ({_local(here, at)} here)"
    return Markup('<time datetime="{}">{}{}</time>').format(text, at.astimezone(UTC).strftime("%F %TZ"), local)


def _local(here: datetime, at: datetime) -> str:
    same_day = here.date() == at.astimezone(UTC).date()
    return here.strftime("%H:%M" if same_day else "%F %H:%M")


def ago(text: str | None, now: datetime | None = None) -> Markup:
    """How long ago a time was, with the time itself as its title."""
    if not text:
        return Markup("never")
    try:
        seconds = ((now or datetime.now(UTC)) - parse_time(text)).total_seconds()
    except ValueError:
        return escape(visible(text[:40]))
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(text, _rough(seconds))


def _rough(seconds: float) -> str:
    if seconds < 0:
        return "in the future"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago"


def cell(value: Any) -> Markup:
    """A cell of a row: cut where it is long, with a note of how long it is."""
    if value is None:
        return Markup('<span class="unknown" title="not known">?</span>')
    text = value if isinstance(value, str) else compact(value) if isinstance(value, list | dict) else str(value)
    if isinstance(value, bool):
        text = "yes" if value else "no"
    if len(text) <= SHORT_CELL:
        return Markup('<span class="short">{}</span>').format(visible(text))
    if len(text) <= LONGEST_CELL:
        return escape(visible(text))
    cut = visible(text[:LONGEST_CELL])
    return Markup('{}<span class="cut">… {} characters</span>').format(cut, f"{len(text):,}")
