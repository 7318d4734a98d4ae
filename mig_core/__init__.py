"""MIG: ask thousands of endpoints a signed question, get answers and never raw data.

Start reading at ``docs/architecture.md``; the folder map is at the head of ``CONTRIBUTING.md``.
"""
