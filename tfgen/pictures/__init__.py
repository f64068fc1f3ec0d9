"""Pictures drawn from trained models."""
