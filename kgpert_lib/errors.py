"""The one exception that a user sees as a sentence instead of a traceback."""


class InputError(ValueError):
    """Input that cannot be used: the message is one sentence saying what, where and what to do."""
