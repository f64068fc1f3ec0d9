"""What to train: one dict of presets.

A preset is a complete description of a run but for where it happens. Every
field can be changed with `--set field=value`. `expect` is the figure that the
run in results/<preset>.json reached, empty if there was none; that file has
its command, time and learning curve.
"""

import dataclasses
import types
import typing

from tfgen.errors import UserError
from tfgen.presets.settings import (
    CVAEPreset,
    DCGANPreset,
    PixelRNNPreset,
    Preset,
    WaveNetPreset,
)

_BINARIZED_MNIST = {
    'dataset': 'binarized_mnist',
    'binarization': 'static',
    'batch_size': 32,
    'learning_rate': 3e-3,
    'schedule': 'cosine',
    'ema': 0.999,
    'checkpoint_every': 500,
    'log_every': 100,
}

PRESETS = {
    'cvae_digits': CVAEPreset(
        dataset='digits',
        conditional=True,
        likelihood='gaussian',
        latent_size=8,
        steps=4000,
        schedule='cosine',
        log_every=500,
        parameters=86354,
        expect='bound -34.7 nats (density)',
    ),
    'pixelrnn_digits': PixelRNNPreset(
        dataset='digits',
        conditional=True,
        units=64,
        num_layers=1,
        kernel_size=3,
        dropout=0.4,
        steps=1500,
        learning_rate=3e-3,
        schedule='cosine',
        ema=0.99,
        log_every=250,
        parameters=80657,
        expect='76.4 nats',
    ),
    'dcgan_digits': DCGANPreset(
        dataset='digits',
        conditional=True,
        steps=5000,
        log_every=500,
        parameters=308300,
        expect='D(x) 0.48, D(G(z)) 0.43',
    ),
    'cvae_mnist': CVAEPreset(
        dataset='binarized_mnist',
        binarization='static',
        latent_size=32,
        batch_size=128,
        steps=40_000,
        schedule='cosine',
        checkpoint_every=2000,
        log_every=500,
        parameters=378753,
        expect='bound 86.95 nats',
    ),
    # The family on binarized MNIST.
    'pixelrnn_mnist': PixelRNNPreset(
        **_BINARIZED_MNIST,
        steps=32_000,
        cell='lstm',
        units=64,
        num_layers=1,
        parameters=85378,
    ),
    'row_lstm_mnist': PixelRNNPreset(
        **_BINARIZED_MNIST,
        steps=8000,
        cell='row_lstm',
        units=32,
        num_layers=3,
        parameters=102274,
        expect='82.62 nats',
    ),
    'diagonal_bilstm_mnist': PixelRNNPreset(
        **_BINARIZED_MNIST,
        steps=32_000,
        cell='diagonal_bilstm',
        units=32,
        num_layers=1,
        parameters=44802,
        expect='80.75 nats',
    ),
    'diagonal_bilstm7_mnist': PixelRNNPreset(
        **_BINARIZED_MNIST,
        steps=18_000,
        cell='diagonal_bilstm',
        units=16,
        num_layers=7,
        parameters=65666,
        expect='79.70 nats',
    ),
    'pixelcnn_mnist': PixelRNNPreset(
        **_BINARIZED_MNIST,
        steps=32_000,
        cell='pixelcnn',
        units=32,
        num_layers=7,
        parameters=82306,
        expect='84.28 nats',
    ),
    'gated_pixelcnn_mnist': PixelRNNPreset(
        **_BINARIZED_MNIST,
        steps=32_000,
        cell='pixelcnn',
        gated=True,
        units=32,
        num_layers=7,
        parameters=209730,
    ),
    'pixelrnn_palette': PixelRNNPreset(
        dataset='palette:pokemon_creation',
        cell='diagonal_bilstm',
        units=48,
        num_layers=2,
        dropout=0.3,
        batch_size=16,
        steps=3000,
        learning_rate=2e-3,
        schedule='cosine',
        ema=0.995,
        checkpoint_every=500,
        log_every=100,
        parameters=232567,
        expect='670 nats',
    ),
    'wavenet_tones': WaveNetPreset(
        dataset='tones',
        audio_length=2048,
        conditional=True,
        units=16,
        skip_units=32,
        num_stacks=1,
        batch_size=8,
        steps=1000,
        learning_rate=3e-3,
        schedule='cosine',
        ema=0.99,
        parameters=33056,
        expect='3.85 bits/sample',
    ),
    'wavenet_spoken_digit': WaveNetPreset(
        dataset='spoken_digit',
        conditional=True,
        batch_size=8,
        steps=2500,
        learning_rate=2e-3,
        schedule='cosine',
        ema=0.999,
        checkpoint_every=500,
        log_every=50,
        parameters=171360,
        expect='3.22 bits/sample',
    ),
    'dcgan_mnist': DCGANPreset(
        dataset='mnist',
        conditional=True,
        batch_size=128,
        steps=5000,
        checkpoint_every=500,
        log_every=100,
        parameters=797900,
        expect='D(x) 0.56, D(G(z)) 0.47',
    ),
}


def get(name: str, settings: typing.Sequence[str] = ()) -> Preset:
    """A preset by name, with `field=value` settings applied.

    Raises:
      UserError: unknown name or field, or a value of the wrong type.
    """
    if name not in PRESETS:
        raise UserError(
            f'unknown preset {name!r}: use one of {", ".join(PRESETS)}'
        )
    preset = PRESETS[name]
    types_of = typing.get_type_hints(type(preset))
    del types_of['parameters'], types_of['expect']
    changes = {}
    for setting in settings:
        field, equals, text = setting.partition('=')
        if not equals:
            raise UserError(
                f'--set {setting!r} has no value: write --set field=value'
            )
        if field not in types_of:
            raise UserError(
                f'preset {name!r} has no field {field!r}: use one of '
                f'{", ".join(types_of)}'
            )
        changes[field] = _parse(field, text, types_of[field])
    return dataclasses.replace(preset, **changes)


def print_table() -> None:
    """Prints every preset with its data, size and expected figure."""
    for name, preset in PRESETS.items():
        print(
            f'{name:23} {type(preset).__name__[:-6]:9}'
            f'{preset.dataset:25} {getattr(preset, "binarization", "none"):8}'
            f'{"given label" if preset.conditional else "":12}'
            f'{preset.parameters:8,} parameters '
            f'{preset.steps:6} steps of {preset.batch_size:3}   '
            f'{preset.expect}'
        )


def restore(name: str, fields: dict) -> Preset:
    """The preset that `dataclasses.asdict` and JSON made `fields` of."""
    if name not in PRESETS:
        raise UserError(
            f'unknown preset {name!r}: use one of {", ".join(PRESETS)}'
        )
    fields = {
        k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()
    }
    kinds = typing.get_type_hints(type(PRESETS[name]))
    for field, value in fields.items():
        if field in kinds and not _is_of(kinds[field], value):
            raise UserError(
                f'the configuration of preset {name!r} has {field}={value!r}: '
                'restore its file'
            )
    try:
        return dataclasses.replace(PRESETS[name], **fields)
    except TypeError as error:
        raise UserError(
            f'the configuration of preset {name!r} does not fit this version '
            f'of tfgen ({error}): train again in another workdir'
        ) from None


def _is_of(kind, value):
    """Whether a value may stand in a field of type `kind`."""
    if isinstance(kind, types.UnionType):
        return any(_is_of(k, value) for k in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        members = typing.get_args(kind)
        return (
            isinstance(value, tuple)
            and (Ellipsis in members or len(value) == len(members))
            and len(value) > 0
            and all(_is_of(members[0], v) for v in value)
        )
    if kind is float:
        kind = (int, float)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, kind)


def _parse(field, text, kind):
    """Text -> value of type `kind`: int, float, bool, str, tuple, or None."""
    options = (
        typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    )
    if type(None) in options and text.lower() == 'none':
        return None
    kind = options[0]
    try:
        if kind is bool:
            return {'true': True, 'false': False}[text.lower()]
        if typing.get_origin(kind) is tuple:
            members = typing.get_args(kind)
            values = tuple(members[0](x) for x in text.strip('()').split(','))
            if Ellipsis not in members and len(values) != len(members):
                raise ValueError
            return values
        return kind(text)
    except (ValueError, KeyError):
        raise UserError(
            f'--set {field}={text}: not a value of type {_type_name(kind)}'
            f'{_EXAMPLES.get(kind, "")}'
        ) from None


_EXAMPLES = {bool: ', write true or false'}


def _type_name(kind):
    if typing.get_origin(kind) is tuple:
        members = typing.get_args(kind)
        shown = [m.__name__ for m in members if m is not Ellipsis]
        if Ellipsis in members:
            return f'{shown[0]},{shown[0]},... (any number)'
        return ','.join(shown)
    return kind.__name__
