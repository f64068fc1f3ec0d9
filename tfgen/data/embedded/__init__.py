"""Data sets that come with tfgen or that tfgen generates."""
