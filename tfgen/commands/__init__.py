"""What the console commands do; each file is one command."""
