"""The one exception that users of the library are meant to see, and others told in a line."""


class CifarcamError(Exception):
    """A wrong input or a missing resource, told in one sentence that says what to do."""


def first_line(error: BaseException) -> str:
    """The first line of what a stranger's error says, or else its type; at most 300 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
