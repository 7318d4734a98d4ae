"""For modules that search with regular expressions in RE2's syntax: a pattern's pieces, and a fast way to rule it out.

``tokens`` takes a pattern apart, ``literals`` says which texts every match contains, ``finder`` looks for these many
times faster than an automaton could. ``branches`` takes an alternation apart, so that RE2 is quicker with each part.
``words`` says which of thousands of texts are in a buffer. ``finder`` and
``words`` need a library, ``ahocorasick_rs``: a plugin that uses them says so in its own dependencies.
"""
