"""Groups of options in help."""

DATA, MODEL, BUDGET, HARDWARE = "Data", "Model", "Budget", "Hardware"
EVALUATION, FILES, OTHER = "Evaluation", "Files", "Other"
