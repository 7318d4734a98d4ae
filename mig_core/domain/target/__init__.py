"""Targets: the small language that says which agents an action is for.

A target is text like ``status = 'online' AND name LIKE 'web%'``. It is parsed once into a tree (:mod:`.tree`) and never
passed through. The tree has three users: :func:`match` here, ``mig_core.store.target_sql`` which compiles it to
parametrised PostgreSQL, and the agent's own check, which is :func:`match` over a view with unknown fields.

The same language says which alerts are meant (:func:`parse_condition`, :func:`holds`), with the names of alerts.

The reference for people is ``docs/targets.md``. The files, in the order a text passes them: ``lexer`` (tokens, read
through a ``cursor``), ``parser`` (grammar) and ``predicates`` (one test) with ``names`` (columns, macros, suggestions),
``literals`` (times, intervals, networks) and ``regex`` (the subset of regular expressions: a ``regex_tree``, run by
``automaton``); they make the ``tree``. Then ``matching`` over an ``agent_view``, with ``addresses`` and ``jsontext`` as
PostgreSQL has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_core.domain.target.parser import (
    MAX_DEPTH,
    MAX_LIST,
    MAX_NODES,
    MAX_TEXT,
    Target,
    parse_condition,
    parse_target,
)
from mig_core.errors import TargetError

if TYPE_CHECKING:
    from mig_core.domain.target.addresses import addresses_of
    from mig_core.domain.target.agent_view import UNKNOWN, AgentView, Unknown
    from mig_core.domain.target.matching import Verdict, holds, match
    from mig_core.domain.target.tree import Answer

__all__ = [
    "MAX_DEPTH",
    "MAX_LIST",
    "MAX_NODES",
    "MAX_TEXT",
    "UNKNOWN",
    "AgentView",
    "Answer",
    "Target",
    "TargetError",
    "Unknown",
    "Verdict",
    "addresses_of",
    "holds",
    "match",
    "parse_condition",
    "parse_target",
]

_ELSEWHERE = {
    "Answer": "tree",
    "AgentView": "agent_view",
    "UNKNOWN": "agent_view",
    "Unknown": "agent_view",
    "Verdict": "matching",
    "addresses_of": "addresses",
    "holds": "matching",
    "match": "matching",
}


def __getattr__(name: str) -> Any:
    """What matches agents, imported when it is used: who only parses targets does not wait for it."""
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_ELSEWHERE[name]}"), name)
