"""kgpert: graph neighbours, and language models that edit them, as predictors of gene knock-downs."""

import warnings

warnings.filterwarnings("ignore", message="IProgress not found")  # a plain progress bar serves in notebooks

__version__ = "0.1.0"
