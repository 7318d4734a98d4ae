"""Finding files by what is asked of them: name, size, mode, age, owner, attributes, content and hash.

What is asked: ``declaration`` (parameters), ``search`` (typed), ``expressions``, ``patterns`` over ``syntax``,
``check``, ``checks``, ``metadata``, lists of ``known`` files, ``slots``. Going there: ``exploring``. Looking:
``evaluation`` over ``names`` and ``plans``; files: ``inspection`` over ``openfile``, ``reader`` and ``content``; other
``entries``; members of ``archives`` by their ``member_status``; several processes at once: ``bundle``, ``workers``,
``shares``. What passed goes to the ``answer``, and from there to the module, which keeps it as it needs it: as ``hits``
to be listed, or to be looked into further. ``reasons`` says why something was left out. It looks with
:mod:`mig_endpoint.files`, and needs google-re2 and ``mig-endpoint[regex]``, which the modules that use it ask for.
"""
