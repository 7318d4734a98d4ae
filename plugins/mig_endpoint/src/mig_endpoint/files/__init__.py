"""Files of an endpoint: going through directories, opening, reading.

``walk`` goes through all below a directory and shows each ``batch`` of entries, relative to descriptors and never
through a link; ``roots`` begins one at a path that somebody named, ``globs`` expands wildcards and ``~`` in it.
``mounts`` are what the kernel lists, ``doorways`` those of systems behind a link of ``/proc/PID``, ``filesystems`` says
what stands behind them and which to leave out; ``calls`` asks file systems that may never answer, ``crossings`` who
asks where. ``opening`` opens a file without waiting or being led elsewhere; ``reading`` and ``compressed`` give its
bytes without its holes, and what a compressed file holds; ``archives`` lists what zip and tar files hold;
``attributes`` are what a file has beside its status, ``owners`` whose it is; ``digests`` are the hashes that files are
known by; ``naming`` says how paths become text; ``interruptions`` are why a read may end early. Whatever is left out is
booked in the :class:`mig_core.plugin.coverage.Tally` that each of them takes. ::

    crossings = Crossings(context.remaining)
    try:
        roots.explore("/srv", visitor, tally, crossings)
    finally:
        crossings.close()

shows a :class:`mig_endpoint.files.batch.Visitor` each directory's files as a :class:`mig_endpoint.files.batch.Batch`.
"""
