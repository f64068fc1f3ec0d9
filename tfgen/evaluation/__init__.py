"""What a trained model is worth: figures for metrics.json."""

from tfgen.data import Data
from tfgen.errors import UserError
from tfgen.evaluation import likelihood
from tfgen.models.base import GenerativeModel


def evaluate(
    model: GenerativeModel,
    examples: Data,
    split: str = 'test',
    batch_size: int = 100,
    num_samples: int = 500,
    seed: int = 0,
    limit: int | None = None,
) -> likelihood.Figures:
    """All figures that this kind of model has, over one split.

    Args:
      model: a model with `log_prob` gives its exact likelihood, one with
        `log_weights` its bounds, one with `diagnostics` their means.
      examples: the data.
      split: 'test' or 'train'.
      batch_size: does not change a figure but for the noise of a bound.
      num_samples: S of the importance weighted bound.
      seed: of the noise.
      limit: only the first `limit` examples.

    Returns:
      See evaluation.likelihood.
    """
    for name, value in (
        ('batch_size', batch_size),
        ('num_samples', num_samples),
        ('limit', limit),
    ):
        if value is not None and value < 1:
            raise UserError(f'{name} is {value}: use 1 or more')
    batches = examples.evaluation(split, batch_size, limit)
    if hasattr(model, 'log_prob'):
        return likelihood.exact(model, batches, examples.spec)
    if hasattr(model, 'log_weights'):
        return likelihood.bounds(
            model, batches, examples.spec, num_samples, seed
        )
    return likelihood.diagnostics(model, batches, seed)
