"""The investigator's side: asking a fleet from Python, and the REST client that all who ask share.

:class:`Mig` is what scripts and notebooks use (``docs/python.md``)::

    from mig_core.client import Mig

    with Mig.connect() as mig:
        question = mig.ask("file", path=["/etc"], name=["^shadow$"], target="all")
        for answer in question:
            print(answer.agent, answer.state, answer.rows)

``mig``, ``question`` and ``answer`` are it; ``answer_rows`` reads rows, ``stack`` counts values, ``frames`` makes data
frames of them, ``notebook`` shows a question in Jupyter, ``assistant`` is what an assistant may do. Below, sync and
thread-safe: ``connection`` puts a client together from the investigator's settings; ``client`` has a method for every
route an investigator may call, ``calls`` is how it calls them; ``transport`` asks, in one of two ``ways``: ``direct``,
or ``through_proxy``; ``silence`` is how long nobody answered; ``session`` logs in; ``pages`` reads lists to their end;
``follow`` hears of an action's answers as they come; ``compose`` and ``action_file`` make actions to be signed;
``proofs`` checks answers against what agents signed; ``csv_answers`` writes answers as CSV; ``shapes`` knows where the
rows of answers lie, ``references`` what people type for an action or an agent; ``explanation`` says what became of a
command; ``signing_ahead`` signs with a gpg that was begun before;
``cases`` keeps answers as evidence, ``timeline`` writes their times for Timesketch; ``versions`` puts releases in
order.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mig_core.client.answer import Answer
    from mig_core.client.mig import Mig
    from mig_core.client.question import Question

__all__ = ["Answer", "Mig", "Question"]


def __getattr__(name: str) -> Any:
    """The public classes, imported when they are used: the command line does not wait for them."""
    if name == "Mig":
        from mig_core.client.mig import Mig

        return Mig
    if name == "Question":
        from mig_core.client.question import Question

        return Question
    if name == "Answer":
        from mig_core.client.answer import Answer

        return Answer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
