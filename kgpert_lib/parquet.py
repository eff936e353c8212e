"""Tables as parquet files whose bytes depend on their content alone.

pyarrow comes with the extra ``book`` and is imported where a file is read or written.
Columns are encoded by their distinct values and then compressed by zstd: predictions of calls repeat the training
mean wherever no neighbour measured a readout gene.
Floats are stored as float32, the type of deltas, and integers as int32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from kgpert_lib.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from kgpert_lib.types import FloatArray, NameArray

ENDING = ".parquet"
ROWS = "perturbation"  # the column of a matrix that names its rows
_COMPRESSION: Mapping[str, Any] = {"compression": "zstd", "compression_level": 9}


def require() -> None:
    """ModuleNotFoundError at once, and not after the work, where pyarrow is not installed."""
    import_module("pyarrow.parquet")


class FrameWriter:
    """A table that is written frame by frame, each frame a row group; a context manager.

    The first frame sets the columns and their types.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, frame: pd.DataFrame) -> None:
        """Add the rows of a frame; its index is not written."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is None:
            fields = [(str(name), _type(frame[name])) for name in frame.columns]
            self._writer = pq.ParquetWriter(self._path, pa.schema(fields), **_COMPRESSION)
        schema = self._writer.schema
        table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
        self._writer.write_table(table.replace_schema_metadata(None), row_group_size=max(len(frame), 1))


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write one frame, without its index."""
    with FrameWriter(path) as writer:
        writer.write(frame)


def write_matrix(
    path: Path,
    rows: Sequence[str] | NameArray,
    columns: Sequence[str] | NameArray,
    values: FloatArray,
    about: Mapping[str, str] | None = None,
) -> None:
    """Write a matrix (n, m): the column `ROWS` with the names of its rows, then one float32 column for each column.

    One row group and no statistics, because thousands of columns would otherwise weigh more than their values.
    `about` are texts by key for the file's own metadata.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [pa.field(ROWS, pa.string()), *(pa.field(str(name), pa.float32()) for name in columns)]
    arrays = [pa.array([str(row) for row in rows]), *(pa.array(values[:, j]) for j in range(values.shape[1]))]
    table = pa.table(arrays, schema=pa.schema(fields, metadata=dict(about or {})))
    pq.write_table(table, path, row_group_size=max(len(table), 1), write_statistics=False, **_COMPRESSION)


def read_matrix(path: Path) -> tuple[NameArray, NameArray, FloatArray]:
    """Row names (n,), column names (m,) and values (n, m) of a file as `write_matrix` makes it.

    InputError for a file without the column `ROWS`; pyarrow's own errors for a file that is not parquet.
    """
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    if ROWS not in table.column_names:
        raise InputError(f"{path} has no column {ROWS!r}; its other columns are readout genes.")
    names = np.array(table.column(ROWS).to_pylist(), dtype=str)
    values = table.drop_columns([ROWS])
    columns = [np.asarray(column, dtype=np.float32) for column in values.columns]
    matrix = np.stack(columns, axis=1) if columns else np.empty((len(names), 0), np.float32)
    return names, np.array(values.column_names, dtype=str), matrix


def _type(column: pd.Series) -> Any:
    import pandas as pd
    import pyarrow as pa

    if pd.api.types.is_bool_dtype(column):
        return pa.bool_()
    if pd.api.types.is_integer_dtype(column):
        return pa.int32()
    return pa.float32() if pd.api.types.is_float_dtype(column) else pa.string()
