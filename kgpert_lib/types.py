"""Names for the arrays and choices that pass between rooms."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
NameArray = NDArray[np.str_]
Split = Literal["per-line", "strict"]
