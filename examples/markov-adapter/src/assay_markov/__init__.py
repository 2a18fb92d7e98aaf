"""A word-level Markov chain as a model for Assay."""

from assay_markov.model import MarkovModel, train

__all__ = ["MarkovModel", "train"]
