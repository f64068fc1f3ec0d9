"""A picture that a notebook shows and `save` writes."""

import base64
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from tfgen import plots, storage

_PLAYED = 8  # sounds of a picture that a notebook offers


@dataclasses.dataclass(frozen=True, repr=False)
class Picture:
    """Pixels, and the files that belong to them.

    Attributes:
      pixels: uint8 [height, width, 1 or 3].
      examples: the drawn examples, [N, *spec.shape]; None for a plot.
      files: name -> content, one file per example, for kinds such as sounds.
      frames: of the animation; None if there is none.
      seconds: duration of a frame.
    """

    pixels: np.ndarray
    examples: np.ndarray | None = None
    files: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    frames: Sequence[Image.Image] | None = None
    seconds: float = 0.12

    def save(self, file: str | pathlib.Path) -> list[pathlib.Path]:
        """Writes the picture, its files and its animation.

        Args:
          file: a PNG file. The files of the examples go into a folder beside
            it, NAME_wav for NAME.png, and the animation into NAME.gif.

        Returns:
          The PNG file and, if there is an animation, the GIF file.

        Raises:
          UserError: a file cannot be written; nothing was written.
        """
        file = storage.place(file)
        made = {file: storage.encode_picture(file, self.pixels)}
        shown = [file]
        if self.frames is not None:
            shown.append(file.with_suffix('.gif'))
            made[shown[-1]] = plots.moving(list(self.frames), self.seconds)
        # One call, so that picture and files always belong together.
        beside = self._beside(file)
        storage.write(made | beside)
        self._remove_earlier(beside)
        return shown

    def _beside(self, file):
        """The files of the examples: path -> content."""
        if not self.files:
            return {}
        ending = next(iter(self.files)).rpartition('.')[2]
        folder = file.with_name(f'{file.stem}_{ending}')
        return {folder / name: content for name, content in self.files.items()}

    def _remove_earlier(self, beside):
        """Removes the files of an earlier, larger grid."""
        for name in list(beside)[:1]:
            for old in name.parent.glob(f'row*_column*{name.suffix}'):
                if old not in beside:
                    old.unlink()

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        more = f', {len(self.files)} files' if self.files else ''
        moves = ', moving' if self.frames is not None else ''
        return (
            f'picture of {width}x{height} pixels{more}{moves}; next: '
            ".save('picture.png')"
        )

    def _repr_png_(self):
        """The picture in a notebook."""
        return storage.encode_picture(pathlib.Path('x.png'), self.pixels)

    def _repr_html_(self):
        """The picture and its sounds in a notebook; None without sounds."""
        sounds = [c for n, c in self.files.items() if n.endswith('.wav')]
        if not sounds:
            return None
        image = base64.b64encode(self._repr_png_()).decode()
        players = ''.join(
            '<audio controls src="data:audio/wav;base64,'
            f'{base64.b64encode(sound).decode()}"></audio>'
            for sound in sounds[:_PLAYED]
        )
        return f'<img src="data:image/png;base64,{image}"><br>{players}'
