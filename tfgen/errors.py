"""The one exception that a user's mistake raises."""


class UserError(ValueError):
    """A mistake that its reader can mend: one line, value and remedy.

    Scripts print the line and exit with status 2; in a notebook it is an
    ordinary ValueError.
    """


class NotFiniteError(UserError):
    """A loss or a weight has become infinite, or no number."""
