"""Reading answers: which rows of an action's answers are wanted, and how they are put together.

``shape`` says where rows lie in a module's elements, as the module declares it; whoever asks sends it along, so that
the platform needs no plugin. ``where`` is the language of conditions on columns, ``reading`` the whole wish as a
document. :mod:`mig_core.store.answer_rows` works it where the answers lie.
"""
