"""Losses and penalties of a GAN."""
