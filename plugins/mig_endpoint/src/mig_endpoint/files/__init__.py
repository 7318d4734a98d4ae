"""Files of an endpoint: going through directories, opening, reading.

``walk`` goes through all below a directory, relative to descriptors and never through a link; ``roots`` begins one at
a path that somebody named; ``filesystems`` says which mounts to leave out; ``opening`` opens a file without waiting
or being led elsewhere; ``reading`` and ``compressed`` give its bytes, and what a compressed file holds; ``digests``
are the hashes that files are known by; ``naming`` says how paths become text; ``interruptions`` are why a read may
end early. Whatever is left out is booked in the :class:`mig_core.plugin.coverage.Tally` that each of them takes.
"""
