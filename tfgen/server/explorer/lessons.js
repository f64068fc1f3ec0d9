// Prepared lessons: two trainings, or one, and what to look at.
//
// a, b: [model, data, settings]; every: steps between two pictures; play: whether
// it runs at once; until: the step at which it pauses; tells: the numbers that are
// shown, of those in training.js. The words are in words.js, under lesson.KEY; a
// short name of a or b is there if their difference needs one.

// A discriminator that is always far ahead.
const STRONG = {discriminator_rate: 0.01, discriminator_updates: 5};

export const LESSONS = [
  {key: 'normal', a: ['normal', 'two_moons', {}], b: ['gmm', 'two_moons', {num_components: 8}], every: 1, play: true, until: 40, tells: ['nats']},
  {key: 'em', a: ['gmm', 'two_moons', {num_components: 4}], every: 1, play: false, tells: ['nats']},
  {key: 'kl', a: ['vae', 'two_moons', {beta: 1, deviation: 0.1}], b: ['vae', 'two_moons', {beta: 0, deviation: 0.1}], every: 10, play: true, until: 2000, tells: ['kl', 'widths']},
  {key: 'iwae', a: ['vae', 'ring', {importance_samples: 1}], b: ['vae', 'ring', {importance_samples: 50}], every: 5, play: true, until: 1600, tells: ['nats', 'modes']},
  {key: 'game', a: ['gan', 'bells', {penalty: 'r1', penalty_weight: 0.01, learning_rate: 0.0001, discriminator_rate: 0.003, discriminator_updates: 5, ema: 0.99}], every: 5, play: true, until: 1600, tells: ['distance']},
  {key: 'collapse', a: ['gan', 'ring', {loss: 'minimax', discriminator_rate: 0.0001}], b: ['gan', 'ring', {loss: 'wasserstein', penalty: 'gradient_penalty', penalty_weight: 0.1, discriminator_updates: 5}], every: 5, play: true, until: 2500, tells: ['modes']},
  {key: 'vanishing', a: ['gan', 'ring', {loss: 'minimax', ...STRONG, learning_rate: 0.0003}], b: ['gan', 'ring', {loss: 'non_saturating', ...STRONG, learning_rate: 0.0003}], every: 5, play: true, until: 2000, tells: ['pull', 'modes']},
  {key: 'lines', a: ['gan', 'far_line', {loss: 'minimax', ...STRONG, learning_rate: 0.0003}], b: ['gan', 'far_line', {loss: 'wasserstein', penalty: 'gradient_penalty', discriminator_updates: 5, discriminator_rate: 0.003, learning_rate: 0.0003}], every: 5, play: true, until: 800, tells: ['pull']},
  {key: 'unrolled', a: ['gan', 'ring', {loss: 'minimax', discriminator_rate: 0.0001}], b: ['gan', 'ring', {loss: 'minimax', discriminator_rate: 0.0001, unrolled_steps: 5}], every: 5, play: true, until: 2200, tells: ['modes']},
  {key: 'blur', a: ['vae of digits', 'digits', {latent_size: 8}], b: ['gan of digits', 'digits', {penalty: 'r1', penalty_weight: 1, ema: 0.99}], every: 5, play: true, until: 1500, tells: ['sharpness']},
];
