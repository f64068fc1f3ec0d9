# %% [markdown]
# # Your own network, and your own loop
#
# The loss of a model does not depend on its networks. This notebook builds a
# VAE from Keras layers, trains it with `fit`, and then with its own loop.

# %%
import os

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import keras
import tensorflow as tf
from keras import Sequential, layers
from sklearn.datasets import load_digits

from tfgen import data
from tfgen.models import CVAE
from tfgen.noise import BatchNoise

quick = 'TFGEN_QUICK' in os.environ
images = load_digits().images / 16
digits = data.from_examples(images)

# %% [markdown]
# ## Networks
#
# The encoder gives 2 K numbers, the mean and the log variance of q(z|x). The
# decoder gives the mean of each pixel.

# %%
K = 8
encoder = Sequential(
    [
        layers.Conv2D(32, 3, 2, 'same', activation='gelu'),
        layers.Flatten(),
        layers.Dense(64, 'gelu'),
        layers.Dense(2 * K),
    ]
)
decoder = Sequential(
    [
        layers.Dense(4 * 4 * 32, 'gelu'),
        layers.Reshape([4, 4, 32]),
        layers.Conv2DTranspose(32, 3, 2, 'same', activation='gelu'),
        layers.Conv2D(1, 3, padding='same'),
    ]
)
keras.utils.set_random_seed(0)
model = CVAE(
    digits.spec,
    latent_size=K,
    likelihood='gaussian',
    encoder=encoder,
    decoder=decoder,
)
model.num_parameters()

# %% [markdown]
# ## fit
#
# Keras callbacks work. `val_loss` is minus the ELBO of the held-out pictures.

# %%
history = model.fit(
    images[:1600],
    batch_size=50,
    epochs=1 if quick else 30,
    validation_data=images[1600:],
    callbacks=[keras.callbacks.EarlyStopping('val_loss', patience=5)],
    verbose=0,
)
history.history['val_loss'][0], history.history['val_loss'][-1]

# %%
from tfgen.pictures.picture import Picture

Picture(digits.spec.draw(model.sample(40, seed=0).numpy(), 10))

# %% [markdown]
# ## Your own likelihood
#
# p(x|z) may be any density whose mean is the decoder's output. This is
# Laplace's, $\log p(x|z) = -\sum_i |x_i - m_i| / b - \log 2b$, which forgives a
# pixel that is far off. It gives one number per picture.


# %%
def laplace(x, mean, b=0.1):
    each = -tf.abs(x - mean) / b - tf.math.log(2 * b)
    return tf.reduce_sum(each, axis=[1, 2, 3])


keras.utils.set_random_seed(0)
other = CVAE(digits.spec, latent_size=K, filters=(32,), likelihood=laplace)
other.fit(images[:1600], batch_size=50, epochs=1 if quick else 30, verbose=0)
Picture(digits.spec.draw(other.sample(40, seed=0).numpy(), 10))

# %% [markdown]
# ## By hand
#
# `loss_terms` gives a dict of two terms, each with one number per example:
# $-\log p(x|z)$ and $\mathrm{KL}(q(z|x) \| p(z))$. The noise is an argument, so
# each step can be repeated exactly.

# %%
adam = keras.optimizers.Adam(1e-3)


@tf.function
def step(batch, number):
    noise = BatchNoise(tf.stack([0, number]), 50)
    with tf.GradientTape() as tape:
        terms = model.loss_terms(batch, noise)
        loss = tf.reduce_mean(terms['distortion'] + terms['rate'])
    slopes = tape.gradient(loss, model.trainable_variables)
    adam.apply(slopes, model.trainable_variables)
    return loss


losses = [
    float(step(batch, tf.constant(number, tf.int64)))
    for number, batch in enumerate(
        digits.train(seed=0, batch_size=50).take(3 if quick else 300)
    )
]
losses[0], losses[-1]
