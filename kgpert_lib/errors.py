"""The one exception that a user sees as a sentence instead of a traceback."""


class InputError(ValueError):
    """Input that cannot be used: the message is one sentence saying what, where and what to do.

    Examples
    --------
    >>> from kgpert_lib import load_graphs
    >>> load_graphs("string+string")
    Traceback (most recent call last):
        ...
    kgpert_lib.errors.InputError: The graph 'string' is named more than once in 'string+string'; name it once.
    """
