"""Data sets of the Hugging Face Hub: image folders, zips and Parquet, brought to this machine."""
