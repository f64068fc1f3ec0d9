"""WaveNet."""

from tfgen.models.wavenet import WaveNet
from tfgen.presets import settings

_WaveNet = settings.of(WaveNet)

PRESETS = {
    'wavenet_tones': _WaveNet(
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
    ),
    'wavenet_spoken_digit': _WaveNet(
        dataset='spoken_digit',
        audio_length=4096,
        conditional=True,
        batch_size=8,
        steps=7500,
        learning_rate=2e-3,
        schedule='cosine',
        ema=0.999,
        checkpoint_every=500,
        log_every=50,
    ),
}
