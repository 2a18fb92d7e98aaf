"""Assay finds, runs, measures and chooses open language models on your own hardware."""

__version__ = "0.1.0"
