"""Models of lines of text."""

from tfgen.models.text_vae import TextVAE
from tfgen.presets import settings

PRESETS = {
    'text_vae_numerals': settings.of(TextVAE)(
        dataset='numerals',
        text_length=48,
        batch_size=128,
        steps=20_000,
        schedule='cosine',
        log_every=500,
        checkpoint_every=2000,
    ),
}
