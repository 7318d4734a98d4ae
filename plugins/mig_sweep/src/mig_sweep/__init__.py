"""From a report to one signed question, and questions worth having ready.

``sweep_command`` is ``mig sweep``: ``documents`` are read into values of ``indicator`` (bare values by ``recognise``),
``plan`` makes as few operations of them as there can be, ``asking`` asks, and ``printing`` shows each row with what
``matching`` says it is a sign of (``versions`` of packages compared). ``pack_command`` is ``mig pack``, over ``pack``:
questions that are data files in ``packs``, or in a directory of the investigator's own; ``assistant`` shows them to an
assistant and to ``mig web``, with a condition on rows by ``narrowing``. Nothing of this is imported on an endpoint.
"""
