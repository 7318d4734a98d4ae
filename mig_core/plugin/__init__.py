"""Everything a plugin may import: the module contract, declared parameters, hook specifications, and what
answers are printed with.

``module`` is the manual: its docstring begins with a whole plugin. ``manager`` finds and loads what is installed, with
``registered`` where it must be quick; plugins do not import them.
"""
