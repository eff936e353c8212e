"""Writing h5ad files so that a disk that fills up is an error and not a crash, and reading those of other programs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgpert_lib.errors import InputError

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


def read_h5ad(path: Path) -> AnnData:
    """An annotated matrix that another program wrote.

    InputError for a file that is missing, empty, no HDF5, cut short, or HDF5 in another layout than anndata's.
    """
    import anndata as ad

    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({(error.strerror or str(error)).lower()}); name an h5ad file."
        ) from error
    if not start.startswith(b"\x89HDF\r\n\x1a\n"):
        what = "is empty" if not start else "is not an HDF5 file"
        raise InputError(f"{path} {what}; write it with AnnData.write_h5ad.")
    try:
        import h5py

        with h5py.File(path, "r") as content:
            absent = [part for part in ("obs", "var") if part not in content]
            parts = ", ".join(content) or "nothing"
        if not absent:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # on old layouts and on names that are not unique, which we look at
                return ad.read_h5ad(path)
    except Exception as error:  # h5py and anndata raise many kinds for damaged bytes
        raise InputError(
            f"{path} is cut short or damaged ({error}); write it again with AnnData.write_h5ad."
        ) from error
    raise InputError(
        f"{path} is HDF5 but not an AnnData file: it has no {absent[0]}, only {parts}; "
        "read it with scanpy (read_10x_h5, ...) and save it with write_h5ad."
    )
