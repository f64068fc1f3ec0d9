"""Models that only tests need."""

import tensorflow as tf

from tfgen.arguments import Size
from tfgen.data import SymbolSpec
from tfgen.models.contracts.likelihood import Autoregressive


class Bigram(Autoregressive):
    """A row of symbols, each of which depends on the one before it."""

    spec_types = (SymbolSpec,)

    def __init__(
        self, spec: SymbolSpec, units: Size = 4, conditional: bool = False
    ):
        super().__init__(spec, conditional)
        self.levels = count = spec.levels
        # One more row: nothing stands before the first.
        self.before = self.add_weight([count + 1, units], name='before')
        self.after = self.add_weight([units, count], name='after')
        if self.num_classes:
            self.of_label = self.add_weight(
                [self.num_classes, count], name='of_label'
            )

    def _logits(self, levels, label, noise):
        before = tf.pad(levels[:, :-1] + 1, [[0, 0], [1, 0]])
        table = tf.matmul(self.before, self.after)
        logits = tf.tensordot(tf.one_hot(before, table.shape[0]), table, 1)
        one_hot = self.one_hot(label)
        if one_hot is None:
            return logits
        return logits + tf.matmul(one_hot, self.of_label)[:, None]
