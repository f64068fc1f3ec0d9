"""Published figures, to set beside those of the presets' records.

They are kept only here: docs/results.md shows them beside the records, and
README.md quotes them. A figure must be of the same data under the same
binarization, or say what differs.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Published:
    """One published figure.

    Attributes:
      figure: its name in the record of the preset.
      value: in the record's unit, as it is printed.
      source: the paper that reports it.
      terms: how it was obtained, where that differs from ours.
      seen: whether it was read in the source; if not, it is quoted from
        memory.
    """

    figure: str
    value: str
    source: str
    terms: str = ''
    seen: bool = True

    def words(self) -> str:
        """'89.9 (Rezende and Mohamed 2015; S = 200)'."""
        memory = '' if self.seen else ', from memory'
        terms = f'; {self.terms}' if self.terms else ''
        return f'{self.value} ({self.source}{memory}{terms})'


def _exact(value, terms='', seen=True):
    """The exact -log p(x) of van den Oord et al. 2016."""
    name, source = 'negative_log_likelihood', 'van den Oord et al. 2016'
    return (Published(name, value, source, terms, seen),)


def _burda(value, terms='', seen=False):
    """An importance weighted bound of Burda et al. 2016."""
    return Published(
        'importance_bound', value, 'Burda et al. 2016', terms, seen
    )


def _quadrants(*values):
    """Figures of Sohn et al. 2015 with 1, 2 and 3 quadrants given."""
    # A replication cannot confirm these figures if its targets are grey, or if
    # it averages bounds of one draw.
    terms = 'by importance sampling, a model for each; binarization and S not '
    terms += 'confirmed'
    return tuple(
        Published(f'given_{k}', value, 'Sohn et al. 2015', terms, seen=False)
        for k, value in enumerate(values, 1)
    )


def _pacgan(name, **values):
    """Figures that Lin et al. 2018 report for the method `name`."""
    terms = 'mean of ten runs, other networks'
    return tuple(
        Published(figure, value, f'{name}, Lin et al. 2018', terms)
        for figure, value in values.items()
    )


PUBLISHED: dict[str, tuple[Published, ...]] = {
    'conv_vae_mnist': (
        _burda('86.76', 'S = 5,000'),
        _burda('84.78', 'IWAE, k = 50, S = 5,000'),
    ),
    'row_lstm_mnist': _exact('80.54', seen=False),
    'diagonal_bilstm_mnist': _exact('80.75', 'one layer of 16 units'),
    'diagonal_bilstm7_mnist': _exact('79.20'),
    'pixelcnn_mnist': _exact('81.30'),
    'vae_mnist': (_burda('86.76', 'S = 5,000'),),
    'iwae_mnist': (_burda('85.54', 'S = 5,000'),),
    'iwae2_mnist': (_burda('83.89', 'S = 5,000'),),
    'inpainting_vae_mnist': _quadrants('63.9', '44.7', '20.95'),
    'deep_ae_mnist': (
        Published(
            'squared_error', '3.00', 'Hinton and Salakhutdinov 2006', seen=False
        ),
    ),
    'pca_mnist': (
        Published(
            'squared_error',
            '13.87',
            'Hinton and Salakhutdinov 2006',
            seen=False,
        ),
    ),
    'gan_ring': _pacgan('PacGAN2', modes='7.9', quality='0.956'),
    'gan_grid': _pacgan('PacGAN4', modes='24.8', quality='0.936'),
    'gan_stacked_mnist': _pacgan('PacDCGAN2', modes='1000', reverse_kl='0.06'),
    'semi_supervised_gan_mnist': (
        Published(
            'accuracy',
            '0.9907',
            'Salimans et al. 2016',
            'mean of ten draws of the labels, sd 0.00065, 180,000 steps',
        ),
    ),
}
