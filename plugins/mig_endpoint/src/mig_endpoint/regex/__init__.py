"""For modules that search with regular expressions in RE2's syntax: a pattern's pieces, and a fast way to rule it out.

``tokens`` takes a pattern apart, ``literals`` says which texts every match contains, ``finder`` looks for these many
times faster than an automaton could. Only ``finder`` needs a library, ``ahocorasick_rs``: a plugin that uses it says so
in its own dependencies.
"""
