"""Cases: questions, the signed answers to them, and notes, kept together and given to others as one file.

``folder`` is a case on this machine; ``collect`` fetches what belongs into it; ``export`` makes the file (its
``report`` is for people) and ``verify`` checks one, without a platform and without a network. ``layout`` says what
lies where in both.
"""
