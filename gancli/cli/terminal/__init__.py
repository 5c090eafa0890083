"""What users see in a terminal: the two consoles, progress bars, the live display, Ctrl-C."""
