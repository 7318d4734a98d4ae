"""JSON with commas before closing brackets, as bun's lock file and Yarn 2's state have it.

Used by ``plug_and_play`` and ``locks``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from mig_core.domain.document import JSON

_COMMA = re.compile(r'("(?:[^"\\]|\\.)*+")|,(?=\s*[}\]])', re.DOTALL)
"""A string, which stays as it is, or a comma that says nothing."""


def loads(text: str) -> JSON:
    """The first value in the text; what follows it is not looked at.

    Raises:
        ValueError: there is none.
        RecursionError: it is too deep.
    """
    return cast("JSON", json.JSONDecoder().raw_decode(_COMMA.sub(lambda found: found[1] or "", text).lstrip())[0])
