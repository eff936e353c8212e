"""kgpert: graph neighbours, and language models that edit them, as predictors of gene knock-downs."""

__version__ = "0.1.0"
