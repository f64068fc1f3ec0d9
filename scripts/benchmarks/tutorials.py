"""The networks and loops of TensorFlow's tutorials, as timing baselines.

This is new code, after the descriptions in the tutorials "Convolutional
Variational Autoencoder" and "Deep Convolutional Generative Adversarial
Network": layers, losses, Adam at 1e-4, one compiled step per Python call, and
an input of shuffle and batch. Each function returns `run(steps)` and the
compiled step.
"""

import keras
import numpy as np
import tensorflow as tf

layers = keras.layers


def cvae(images: np.ndarray, batch_size: int, latent_size: int = 2):
    """The tutorial's CVAE on binary images: float32 [N, 28, 28, 1]."""
    encoder = keras.Sequential(
        [
            keras.Input([28, 28, 1]),
            layers.Conv2D(32, 3, 2, activation='relu'),
            layers.Conv2D(64, 3, 2, activation='relu'),
            layers.Flatten(),
            layers.Dense(2 * latent_size),
        ]
    )
    decoder = keras.Sequential(
        [
            keras.Input([latent_size]),
            layers.Dense(7 * 7 * 32, activation='relu'),
            layers.Reshape([7, 7, 32]),
            layers.Conv2DTranspose(64, 3, 2, 'same', activation='relu'),
            layers.Conv2DTranspose(32, 3, 2, 'same', activation='relu'),
            layers.Conv2DTranspose(1, 3, 1, 'same'),
        ]
    )
    optimizer = keras.optimizers.Adam(1e-4)
    variables = encoder.trainable_variables + decoder.trainable_variables

    def log_normal(z, mean, logvar):
        density = (z - mean) ** 2 * tf.exp(-logvar) + logvar
        return tf.reduce_sum(-0.5 * (density + np.log(2 * np.pi)), axis=1)

    def loss(x):
        mean, logvar = tf.split(encoder(x), 2, axis=1)
        z = tf.random.normal(tf.shape(mean)) * tf.exp(logvar * 0.5) + mean
        cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(
            logits=decoder(z), labels=x
        )
        log_px_z = -tf.reduce_sum(cross_entropy, axis=[1, 2, 3])
        log_pz = log_normal(z, 0.0, 0.0)
        log_qz_x = log_normal(z, mean, logvar)
        return -tf.reduce_mean(log_px_z + log_pz - log_qz_x)

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            value = loss(x)
        optimizer.apply_gradients(
            zip(tape.gradient(value, variables), variables, strict=True)
        )

    return _runner(step, images, batch_size)


def _dcgan_networks():
    """Returns the generator and the discriminator."""

    def grow(filters, stride):
        return layers.Conv2DTranspose(
            filters, 5, stride, 'same', use_bias=False
        )

    generator = keras.Sequential(
        [
            keras.Input([100]),
            layers.Dense(7 * 7 * 256, use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Reshape([7, 7, 256]),
            grow(128, 1),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            grow(64, 2),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(
                1, 5, 2, 'same', use_bias=False, activation='tanh'
            ),
        ]
    )
    discriminator = keras.Sequential(
        [
            keras.Input([28, 28, 1]),
            layers.Conv2D(64, 5, 2, 'same'),
            layers.LeakyReLU(),
            layers.Dropout(0.3),
            layers.Conv2D(128, 5, 2, 'same'),
            layers.LeakyReLU(),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    return generator, discriminator


def dcgan(images: np.ndarray, batch_size: int):
    """The tutorial's DCGAN on images in [-1, 1]: float32 [N, 28, 28, 1]."""
    generator, discriminator = _dcgan_networks()
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    players = [
        (player.trainable_variables, keras.optimizers.Adam(1e-4))
        for player in (generator, discriminator)
    ]
    for variables, optimizer in players:
        optimizer.build(variables)

    @tf.function
    def step(real):
        noise = tf.random.normal([batch_size, 100])
        with tf.GradientTape(persistent=True) as tape:
            fake = generator(noise, training=True)
            on_real = discriminator(real, training=True)
            on_fake = discriminator(fake, training=True)
            losses = (
                cross_entropy(tf.ones_like(on_fake), on_fake),
                cross_entropy(tf.ones_like(on_real), on_real)
                + cross_entropy(tf.zeros_like(on_fake), on_fake),
            )
        for (variables, optimizer), value in zip(players, losses, strict=True):
            gradients = tape.gradient(value, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))

    return _runner(step, images, batch_size)


def _runner(step, images, batch_size):
    """Returns `run(steps)` over shuffled batches, and the step."""
    dataset = (
        tf.data.Dataset.from_tensor_slices(images)
        .shuffle(len(images))
        .batch(batch_size, drop_remainder=True)
        .repeat()
    )
    batches = iter(dataset)

    def run(steps):
        for _ in range(steps):
            step(next(batches))

    return run, step
