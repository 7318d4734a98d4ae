"""A topology that is really run: two of each part, three of RabbitMQ, in containers, each killed in turn under load.

``run`` is the program; ``containers`` starts and kills parts, ``load`` asks a simulated fleet all the while and counts
in the books what became of every command. ``README.md`` says how to run it, ``docs/scale.md`` what was seen.
"""
