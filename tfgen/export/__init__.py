"""Signatures, SavedModels, and the trained models that come with tfgen."""
