"""The pages, a file each; ``exchange`` is what they have in common.

``fleet``: agents.
"""
