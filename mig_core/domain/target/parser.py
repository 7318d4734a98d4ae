"""The grammar of targets: text in, tree out, or a :class:`TargetError` that says where and what to write instead.

::

    target     = name pattern | address | expression
    expression = conjunction { OR conjunction }
    conjunction= negation { AND negation }
    negation   = NOT negation | "(" expression ")" | all | macro | name* | function "(" action ")" | test
    test       = operand ( comparison | [NOT] LIKE | [NOT] ILIKE | [NOT] IN | [NOT] BETWEEN | IS [NOT] NULL | ~ ~* !~ !~* )
               | address ( "=" | "<<=" | [NOT] IN ) network

Everything is bounded before it is built: text, nesting, nodes, list lengths. The recursion of this file follows the
nesting, so :data:`MAX_DEPTH` also bounds Python's stack.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from mig_core.domain.target import names
from mig_core.domain.target.addresses import read_network
from mig_core.domain.target.lexer import Token, TokenKind, tokenize
from mig_core.domain.target.literals import read_action_id
from mig_core.domain.target.tests import TestParser
from mig_core.domain.target.tree import AddressWithin, And, Answered, Column, Comparator, Comparison, Everything, Kind
from mig_core.domain.target.tree import Like, Node, Not, Or
from mig_core.errors import TargetError
