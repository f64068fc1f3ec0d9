"""Notes which lines raise a UserError, over all processes of a test run."""

import json
import os
import pathlib
import sys
import uuid

from tfgen import errors

_FOLDER = 'TFGEN_TEST_RAISED'


def watch() -> None:
    """From now on, every UserError of this process is noted."""

    def init(self, *arguments):
        super(errors.UserError, self).__init__(*arguments)
        frame = sys._getframe(1)
        place = [frame.f_code.co_filename, *_lines(frame)]
        file = pathlib.Path(os.environ[_FOLDER], uuid.uuid4().hex)
        file.write_text(json.dumps(place))

    errors.UserError.__init__ = init


def seen() -> set[tuple[str, int]]:
    """(file, line) of all that was noted."""
    places = [
        json.loads(file.read_text())
        for file in pathlib.Path(os.environ[_FOLDER]).iterdir()
    ]
    return {(str(pathlib.Path(file).resolve()), line) for file, line in places}


def _lines(frame):
    """The line on which the call that made the error begins."""
    positions = list(frame.f_code.co_positions())
    return [positions[frame.f_lasti // 2][0]]


def watched(script: pathlib.Path, setup: str = '') -> list[str]:
    """The command of a script whose UserErrors are noted.

    Args:
      script: arguments follow.
      setup: code that is run before.
    """
    code = f"""
import runpy, sys
sys.path[:0] = [{str(pathlib.Path(__file__).parent)!r}, {str(script.parent)!r}]
import raised
raised.watch()
{setup}
runpy.run_path({str(script)!r}, run_name='__main__')"""
    return [sys.executable, '-c', code]
