"""The console commands; one file per command."""
