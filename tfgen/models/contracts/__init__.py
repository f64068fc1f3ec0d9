"""What models promise, and how they are trained."""
