"""Sets that come with tfgen, or are made by it."""
