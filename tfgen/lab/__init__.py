"""Trainings that a browser watches; tfgen/server/learning.py starts them."""
