"""Where packages lie on an endpoint, or on a system whose file system is mounted at some directory of it.

``site`` is what a look at one system needs (its file system, the tally, the clock); ``tree`` reads below a root without
leaving it; ``search`` goes through the directories in which packages lie; ``reasons`` says why something was left out.
"""
