"""Writing h5ad files so that a disk that fills up is an error and not a crash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anndata import AnnData

GROWTH = 1 << 24  # bytes by which the image in memory grows
# LZF is faster, but its output depends on what its table held before: one run in a hundred gave other bytes.
COMPRESSION = {"compression": "gzip", "compression_opts": 1, "shuffle": True}


def write_h5ad(data: AnnData, path: Path, compression: Mapping[str, Any] = COMPRESSION) -> None:
    """Write an annotated matrix, equal ones as equal bytes; OSError where the disk refuses.

    Without `compression` the matrix lies in the file in one piece.

    HDF5 ends the process with a segmentation fault when it closes a file on a full disk. The file is therefore
    put together in memory, where closing cannot fail, and its bytes are written at once.
    """
    import h5py  # here, so that an atlas can be read where neither package is installed
    from anndata.io import write_elem

    with h5py.File(path.name, "w", driver="core", backing_store=False, block_size=GROWTH) as file:
        write_elem(file, "/", data, dataset_kwargs=compression)
        file.flush()
        image = file.id.get_file_image()
    path.write_bytes(image)
