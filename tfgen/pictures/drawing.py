"""How autoregressive models draw: value by value, from what they see."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from tfgen.errors import UserError
from tfgen.models.contracts.likelihood import Autoregressive
from tfgen.models.wavenet import WaveNet
from tfgen.pictures import completion
from tfgen.pictures.picture import Picture

if TYPE_CHECKING:
    from tfgen.export.trained import TrainedModel

_FRAMES = 56  # of a drawing, about
_LAST = 12  # frames that show the whole drawing
_NODE, _GAP, _LAYER = 3, 9, 26  # pixels: radius, and distances of nodes
_STEPS = 24  # outputs that the receptive field moves over
_MOST_LAYERS = 5  # of a stack, so that the picture is narrow
_DARK, _LIGHT, _SEEN = (90, 90, 90), (225, 225, 225), (30, 90, 200)
_MADE = (220, 60, 40)


def is_autoregressive(model: 'TrainedModel') -> bool:
    """Whether a model draws value by value."""
    return issubclass(model.config.preset.model, Autoregressive)


def has_dilations(model: 'TrainedModel') -> bool:
    """Whether a model has dilated convolutions."""
    return issubclass(model.config.preset.model, WaveNet)


def drawing(
    model: 'TrainedModel', labels: Sequence[int] | None, count: int, seed: int
) -> Picture:
    """Draws samples, and an animation of their values in order.

    The values are drawn row by row; those that are not drawn yet are blank.

    Raises:
      UserError: the model does not draw value by value.
    """
    if not is_autoregressive(model):
        raise UserError(
            'this model draws all values at once, not one by one: use '
            '--kind=samples, or a PixelRNN or WaveNet'
        )
    drawn, columns, titles = completion.samples(model, labels, count, seed)
    spec = model.spec
    side = min(columns, max(1, round(len(drawn) ** 0.5)))
    size = int(np.prod(spec.mask_shape))
    frames = []
    for known in np.unique(np.linspace(0, size, _FRAMES).astype(int)):
        mask = np.arange(size).reshape(spec.mask_shape) < known
        shown = spec.hide(drawn, np.broadcast_to(mask, drawn.shape))
        frames.append(Image.fromarray(spec.draw(shown, side).squeeze()))
    frames += frames[-1:] * _LAST
    return Picture(spec.draw(drawn, columns, titles), drawn, frames=frames)


def receptive_field(model: 'TrainedModel') -> Picture:
    """Draws the part of one stack of WaveNet that computes a value.

    At most five layers are shown; the whole model sees further back. The
    animation moves from value to value.

    Raises:
      UserError: the model is no WaveNet.
    """
    if not has_dilations(model):
        raise UserError(
            'this model has no dilated convolutions: draw the receptive field '
            'of a WaveNet'
        )
    settings = model.config.preset.settings
    layers = min(settings['layers_per_stack'], _MOST_LAYERS)
    dilations = [2**i for i in range(layers)]
    frames = [_wires(dilations, _STEPS + t) for t in range(_STEPS)]
    return Picture(np.asarray(frames[-1]), frames=frames)


def sources(dilations: Sequence[int], place: int) -> list[set[int]]:
    """The places of each layer from which the output at `place` is computed.

    Args:
      dilations: of the layers, the first one at the bottom.
      place: of the output. A value of a layer is computed from the same place
        and one earlier place of the layer below.

    Returns:
      For the inputs and each layer, places of values, from the bottom up.
    """
    found = [{place}]
    for dilation in reversed(dilations):
        found.append({p - ago for p in found[-1] for ago in (0, dilation)})
    return found[::-1]


def _wires(dilations, place):
    """A frame: the network, and the part that computes the value at `place`."""
    columns, rows = 2 * _STEPS + 1, len(dilations) + 1
    size = (columns * _GAP + 2 * _GAP, rows * _LAYER + _GAP)
    image = Image.new('RGB', size, (255, 255, 255))
    pen = ImageDraw.Draw(image)

    def at(layer, column):
        return _GAP * (column + 1), size[1] - _LAYER // 2 - _LAYER * layer

    def dot(layer, column, colour):
        x, y = at(layer, column)
        box = [x - _NODE, y - _NODE, x + _NODE, y + _NODE]
        pen.ellipse(box, fill=colour)

    active = sources(dilations, place)
    for layer, dilation in enumerate(dilations):
        for column in range(columns):
            for ago in (0, dilation):
                if column - ago < 0:
                    continue
                used = column in active[layer + 1]
                colour = _SEEN if used else _LIGHT
                ends = [at(layer, column - ago), at(layer + 1, column)]
                pen.line(ends, fill=colour, width=2 if used else 1)
    for layer, places in enumerate(active):
        for column in range(columns):
            dot(layer, column, _SEEN if column in places else _DARK)
    dot(len(dilations), place, _MADE)
    return image
