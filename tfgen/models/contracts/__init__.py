"""Base classes of models, and the updates that train them."""
