"""The named data sets: what is known of them, their download and their formats."""
