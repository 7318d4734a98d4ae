"""Processes of an endpoint, for every module that asks about them. Source: proc(5) and the kernel files named beside
each name.

``proc`` is /proc itself: who is there, also behind mounts; ``visit`` looks at processes one after the other for any
number of consumers in one walk, and books what could not be looked at. ``process`` is one of them, held so that its id
cannot come to mean another: what it runs (``executable``), what the kernel says about it (``stat``), in which container
(``container``), which files and sockets it has open (``descriptors``), what it has mapped (``mappings``) and which
pages of that hold something (``pages``). ``askers`` knows who handles the question. ``reasons`` says why something was
not looked at.

Nothing here stops, changes or enlarges a process.
"""
