"""The exceptions for mistakes of users."""


class UserError(ValueError):
    """A mistake that the user can correct: one line with value and remedy.

    Scripts print the line and exit with status 2. In a notebook it is an
    ordinary ValueError.
    """


class NotFiniteError(UserError):
    """A loss or a weight has become infinite or NaN."""
