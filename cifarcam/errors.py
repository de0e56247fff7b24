"""The one exception that users of the library are meant to see."""


class CifarcamError(Exception):
    """A wrong input or a missing resource, told in one sentence that says what to do."""
