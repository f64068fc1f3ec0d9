"""Losses of a GAN, and penalties."""
