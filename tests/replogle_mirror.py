"""A mirror with files in Replogle's format and its registry, whose files may be changed."""

import io
import pickle
import zipfile
from pathlib import Path

import anndata as ad
import pytest

from kgpert_lib.downloads.registry import Registry
from kgpert_lib.files import digest
from kgpert_lib.screens.h5ad import write_h5ad
from kgpert_lib.screens.replogle import FILES
from kgpert_lib.screens.simulated.replogle_files import write_replogle


def written_without_perturbqa(folder):
    """The small files, the same on every machine: no table of PerturbQA is at hand."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("KGPERT_MIRROR", "KGPERT_REGISTRY"):
            patch.delenv(name, raising=False)
        patch.setenv("KGPERT_CACHE", str(folder / "cache"))
        return write_replogle(folder / "files", seed=0, size="tiny")


class Mirror:
    """`folder` as `write_replogle` left it; what is put into it is entered in the registry."""

    def __init__(self, folder):
        self.folder = Path(folder)

    @property
    def registry(self):
        return Registry.read(self.folder / "registry.toml")

    def use(self, monkeypatch):
        monkeypatch.setenv("KGPERT_MIRROR", str(self.folder))
        monkeypatch.setenv("KGPERT_REGISTRY", str(self.folder / "registry.toml"))

    def path(self, name):
        return self.folder / self.registry[name].group / name

    def read(self, line):
        return ad.read_h5ad(self.path(FILES[line]))

    def put(self, name, content):
        path = self.path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        self.enter(name)

    def enter(self, name):
        """Make the registry say of a file what it is."""
        path, entries = self.path(name), dict(self.registry.entries)
        change = {"bytes": path.stat().st_size, "checksum": f"sha256:{digest(path)}"}
        entries[name] = entries[name].model_copy(update=change)
        Registry(entries=entries).write(self.folder / "registry.toml")

    def edit(self, line, change):
        """Write the file anew with what `change` makes of its AnnData, in place or as its result."""
        data = self.read(line)
        write_h5ad(change(data) or data, self.path(FILES[line]), compression={})
        self.enter(FILES[line])

    def put_perturbqa(self, line, split):
        """A table of calls with one row for each perturbation, its split by name."""
        rows = [f"{gene},ACTB,0,{part}" for gene, part in split.items()]
        self.put(f"{line}-de.csv", "\n".join(["pert,gene,label,split", *rows, ""]).encode())

    def put_txpert(self, content, member="K562_single_cell_line/splits/train_test_split.pkl", protocol=4):
        """TxPert's archive with a pickle of `content`, or with `content` itself where it is bytes."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as files:
            data = content if isinstance(content, bytes) else pickle.dumps(content, protocol)
            files.writestr(member, data)
        self.put("K562_single_cell_line.zip", archive.getvalue())
