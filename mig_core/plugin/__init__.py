"""Everything a plugin may import: the module contract, declared parameters, hook specifications, and what
answers are printed with.

``module`` is the manual: its docstring begins with a whole plugin. ``parameters`` declares what may be asked, with
``checks`` that several modules need, ``coverage`` keeps the tally of what was looked at, ``printing`` makes lines.
``persistent`` is for modules that run all the time, ``settings`` reads their tables of the configuration, ``question``
asks one of them, ``cutting`` makes their events fit;
``hooks`` is what a plugin may add besides modules, ``network`` what one that sends needs.

Rows: ``columns`` declares them, ``rows`` finds them in elements, ``cells`` are their values, ``conditions`` and
``selection`` choose among them, ``written_rows`` is how a run keeps them, and ``table`` makes a whole module of that:
its docstring begins with one, too.

``manager`` finds and loads what is installed, with ``registered`` where it must be quick, and ``index`` where it must
be quick again and again; plugins do not import them, nor ``apart``, which runs a module for a program that cannot wait.
"""
