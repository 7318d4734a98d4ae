"""What modules look at an endpoint with. A library: it registers no module.

``files`` goes through directories and opens files, ``finding`` finds those that something is asked of; ``processes``
knows who runs, and what is in their memory; ``packages`` where packages lie; ``ssh`` reads keys; ``places`` where what
starts by itself is defined; ``coverage`` has the reasons for what was left out; ``regex`` and ``buffers`` make
searching fast; ``user_names`` and ``capabilities`` put words for numbers, ``resolving`` addresses for names;
``testing`` has real things to look at.

The rule of the house: *whoever skips, books*. A helper that can leave something out takes a
:class:`mig_core.plugin.coverage.Tally`; there is no way to skip without it.
"""
