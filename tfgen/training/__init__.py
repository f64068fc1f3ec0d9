"""How a model is trained, and what a run keeps."""
