"""Records which lines raise a UserError in any process of a test run."""

import json
import os
import pathlib
import sys
import uuid

from tfgen import errors

_FOLDER = 'TFGEN_TEST_RAISED'


def watch() -> None:
    """Records every UserError of this process from now on."""

    def init(self, *arguments):
        super(errors.UserError, self).__init__(*arguments)
        frame = sys._getframe(1)
        place = [frame.f_code.co_filename, *_lines(frame)]
        file = pathlib.Path(os.environ[_FOLDER], uuid.uuid4().hex)
        file.write_text(json.dumps(place))

    errors.UserError.__init__ = init


def seen() -> set[tuple[str, int]]:
    """Returns (file, line) of all recorded errors."""
    places = [
        json.loads(file.read_text())
        for file in pathlib.Path(os.environ[_FOLDER]).iterdir()
    ]
    return {(str(pathlib.Path(file).resolve()), line) for file, line in places}


def _lines(frame):
    """Returns the first line of the call that made the error."""
    positions = list(frame.f_code.co_positions())
    return [positions[frame.f_lasti // 2][0]]
