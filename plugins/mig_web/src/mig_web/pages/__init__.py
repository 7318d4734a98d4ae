"""The pages, a file each; ``exchange`` is what they have in common.

``fleet``: agents; ``agents``: one of them. ``ask``: forms of questions; ``review``: exactly what will be signed, and
signing. ``actions``: the questions; ``action``: one of them, live, its coverage, and what became of it at one agent;
``answers``: its rows and stacks; ``changes``: what is done to it. ``inbox``: what waits for a signature. ``cases``:
questions and answers that are kept here; ``investigators``: who may do what.
"""
