"""Models of lines of text."""

from tfgen.models.text_vae import TextVAE
from tfgen.presets import settings

# Without free bits the GRU does without the code: 2 of its 32 numbers stay
# active, and no line is reconstructed.
_READING = {
    'batch_size': 128,
    'free_bits': 0.25,
    'schedule': 'cosine',
    'log_every': 500,
    'checkpoint_every': 1000,
}

PRESETS = {
    'text_vae_numerals': settings.of(TextVAE)(
        **_READING,
        dataset='numerals',
        text_length=48,
        recurrent_units=128,
        steps=12_000,
    ),
    # Couplets of scripts/experiments/poems.py: two verses of five characters,
    # and the comma.
    'text_vae_poems': settings.of(TextVAE)(
        **_READING,
        dataset='lines:poems.txt',
        text_length=11,
        recurrent_units=256,
        steps=5000,
    ),
}
