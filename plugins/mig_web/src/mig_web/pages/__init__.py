"""The pages, a file each; ``exchange`` is what they have in common.

``fleet``: agents; ``agents``: one of them; ``cases``: questions and answers that are kept here; ``investigators``: who
may do what.
"""
