"""The launch of the training job: checks beforehand, the command, its output, and going on after it was stopped."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.rl.job import config as job
from kgpert_lib.rl.job.check import Finding, check, counted
from kgpert_lib.rl.job.config import GB, Config, get
from kgpert_lib.rl.job.prime import VARIABLE, Checkout

CARD = 76_000  # MiB that a card of 80 GB has at the least
FREE = 0.9  # share of it that has to be free
PYTHON = "3.12"
# What Prime-RL writes before a run begins; anything else in its folder belongs to a run.
_BEFORE_RUN = re.compile(r"configs|rl\.sbatch|job_.*\.log")
_LAST_WORDS = 5.0  # seconds for the rest of the output after the job has ended

WITHOUT_GPU = (
    "Without a GPU, `make rehearse` trains a small model on the same questions with the same reward, on two cores; "
    "`kgpert serve` and the evaluation that env/kgpert/README.md shows put them to the bundled language model."
)


@dataclass(frozen=True)
class Check:
    """One line of the preflight: what was looked at, whether it is as it has to be, and what was seen."""

    name: str
    passed: bool
    text: str

    def __str__(self) -> str:
        return f"{'ok' if self.passed else 'missing':8}{self.name}: {self.text}"


@dataclass(frozen=True)
class Card:
    """A GPU as nvidia-smi lists it; memory in MiB."""

    index: str
    name: str
    total: int
    free: int


@dataclass(frozen=True)
class Run:
    """The folder of a run, as Prime-RL lays it out. `checkpoints` is elsewhere where ``ckpt.output_dir`` says so."""

    folder: Path
    checkpoints: Path

    @classmethod
    def of(cls, config: Config, folder: Path | None = None) -> Run:
        """`folder`, else what the files say (``output_dir``, ``run``), else ``outputs/kgpert`` here.

        InputError where the files name another folder than `folder` in ``run.dir``.
        """
        elsewhere = get(config, "run.dir")
        if folder is not None and elsewhere not in (None, folder.name):
            raise InputError(f"The files name the folder {elsewhere} (run.dir); leave that out, or --run-dir.")
        if folder is None:
            name = get(config, "run.dir") or get(config, "run.name") or job.TASKSET
            folder = Path(get(config, "output_dir", "outputs")) / name
        elsewhere = get(config, "ckpt.output_dir")
        folder = folder.absolute()
        return cls(folder, (Path(elsewhere).absolute() if elsewhere else folder) / "checkpoints")

    @property
    def last_step(self) -> int | None:
        """The last step with a whole checkpoint of trainer and orchestrator; one that was cut off does not count."""
        whole = [
            step
            for step, path in steps(self.checkpoints).items()
            if (path / "trainer" / ".metadata").is_file() and (path / "orchestrator" / "progress.pt").is_file()
        ]
        return max(whole, default=None)

    @property
    def used(self) -> bool:
        """Whether a run has written here."""
        return self.folder.is_dir() and any(not _BEFORE_RUN.fullmatch(p.name) for p in self.folder.iterdir())


def steps(folder: Path) -> dict[int, Path]:
    """The folders ``step_N`` in a folder by N, in order; empty where there is no such folder."""
    folders = {int(path.name[5:]): path for path in folder.glob("step_*") if path.name[5:].isdigit() and path.is_dir()}
    return dict(sorted(folders.items()))


def command(files: Sequence[Path], run: Run, step: int | None = None) -> list[str]:
    """The command, to be run in Prime-RL's checkout.

    ``--no-sync``: `uv run` would bring the environment into line with Prime-RL's lock first, and the start of a job is
    no time to change what is installed.
    """
    layers = [word for file in files for word in ("@", str(Path(file).absolute()))]
    where = ["--output-dir", str(run.folder.parent), "--run.name", run.folder.name]
    return ["uv", "run", "--no-sync", "rl", *layers, *where, *(["--resume.step", str(step)] if step else [])]


def environment(config: Config, cards: Sequence[Card]) -> dict[str, str]:
    """Variables for the job: the cache of this library, and one card twice where inference and training share it."""
    left_out = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    env = {name: value for name, value in os.environ.items() if name not in left_out}
    env["KGPERT_CACHE"] = str(paths.cache_dir().absolute())
    if job.shares_card(config) and len(cards) == 1:
        env["CUDA_VISIBLE_DEVICES"] = f"{cards[0].index},{cards[0].index}"
    return env


def preflight(config: Config, run: Run, checkout: Checkout | None) -> Iterator[Check]:
    """The checks one after the other; none of them starts or writes anything but the cache of the atlas."""
    findings = check(config)
    yield _configuration(findings)
    yield from _machines(config)
    yield _room(config, run)
    yield _program("uv", "install it from https://docs.astral.sh/uv")
    yield from _prime_rl(checkout, config)
    yield _atlas(config, findings)


@dataclass(frozen=True)
class End:
    """How a job ended: its exit code (negative: the signal that ended it), and the signal that was passed on to it."""

    code: int
    signal: int | None = None


def follow(words: Sequence[str], folder: Path, env: dict[str, str], say: Callable[[str], None]) -> End:
    """Run a command in a folder and hand every line that it prints to `say`.

    SIGTERM and SIGHUP are passed on, and its end is awaited, as Prime-RL ends its own processes; a second one ends
    all of them at once. Ctrl-C ends it in the same way and is raised again.
    """
    process = _Process(say)
    watched = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) is not signal.SIG_IGN]
    before = {s: signal.signal(s, process.receive) for s in watched}
    try:
        return process.run(words, folder, env)
    finally:
        for received, handler in before.items():
            signal.signal(received, handler)


def set_aside(run: Run) -> Path:
    """Rename the folder of a run that has no checkpoint, so that it starts again; returns its new name."""
    names = (run.folder.with_name(f"{run.folder.name}-stopped-{k}") for k in range(1, 10_000))
    target = next(name for name in names if not name.exists())
    run.folder.rename(target)
    return target


class _Process:
    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._process: subprocess.Popen[str] | None = None
        self._received: list[int] = []

    def receive(self, signum: int, frame: FrameType | None) -> None:
        self._received.append(signum)
        if self._process is not None:
            self._end(self._process, at_once=len(self._received) > 1)

    def run(self, words: Sequence[str], folder: Path, env: dict[str, str]) -> End:
        # A session of its own: Ctrl-C reaches the job through here only, once.
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._process = process
        if self._received:  # between the handler and the start
            self._end(process)
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        try:
            code = process.wait()
        except BaseException:
            self._end(process)
            process.wait()
            raise
        reader.join(_LAST_WORDS)  # a process that the job left behind may hold the pipe open
        return End(code, self._received[0] if self._received else None)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        heard = True
        for line in process.stdout:
            try:
                if heard:
                    self._say(line.rstrip("\n"))
            except (BrokenPipeError, ValueError):  # nobody reads on; the job goes on
                heard = False

    @staticmethod
    def _end(process: subprocess.Popen[str], at_once: bool = False) -> None:
        if process.poll() is not None:
            return
        if at_once:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.terminate()


def list_cards() -> list[Card] | str:
    """The GPUs that the job may use (``CUDA_VISIBLE_DEVICES``), or why none can be listed."""
    query = ["nvidia-smi", "--query-gpu=index,name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        run = subprocess.run(query, capture_output=True, text=True, errors="replace")
    except OSError:
        return "nvidia-smi is not installed"
    if run.returncode != 0:
        errors = (run.stderr or run.stdout).strip().splitlines()
        return f"nvidia-smi says: {errors[0] if errors else 'nothing'}"
    rows = [[cell.strip() for cell in line.split(",")] for line in run.stdout.splitlines() if line.strip()]
    cards = [Card(r[0], r[1], int(r[2]), int(r[3])) for r in rows if len(r) == 4 and r[2].isdigit() and r[3].isdigit()]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = {name.strip() for name in visible.split(",")}
        cards = [card for card in cards if card.index in names]
    return cards or "nvidia-smi lists none" + ("" if visible is None else f" of CUDA_VISIBLE_DEVICES={visible}")


def _configuration(findings: Sequence[Finding]) -> Check:
    errors = [f for f in findings if f.level == "error"]
    warnings = sum(f.level == "warning" for f in findings)
    text = f"{len(errors)} errors; the first: {errors[0].key}: {errors[0].text}" if errors else f"{warnings} warnings"
    return Check("configuration", not errors, text)


def _machines(config: Config) -> Iterator[Check]:
    inference, training = job.gpus(config)
    if get(config, "slurm") is not None:
        yield _program("sbatch", f"SLURM starts the job on {inference} + {training} GPUs; launch where it is installed")
        return
    shared = job.shares_card(config)
    wanted = 1 if shared else inference + training
    cards = list_cards()
    layout = (
        "one card that inference and training share" if shared else f"{inference} for inference, {training} to train"
    )
    if isinstance(cards, str):
        yield Check("GPUs", False, f"{cards}; the layout needs {wanted} ({layout})")
        return
    names = ", ".join(sorted({card.name for card in cards}))
    yield Check("GPUs", len(cards) >= wanted, f"{len(cards)} ({names}); the layout needs {wanted} ({layout})")
    used = cards[:wanted]
    small = [card for card in used if card.total < CARD]
    taken = [card for card in used if card.free < FREE * card.total]
    text = (
        f"{min(card.free for card in used) / 1024:.0f} GiB free of {min(card.total for card in used) / 1024:.0f} each"
    )
    if small:
        text += f"; GPU {small[0].index} is smaller than the 80 GB that the layout was made for"
    elif taken:
        text += f"; GPU {taken[0].index} is in use by another program"
    yield Check("memory of GPUs", not small and not taken, text)


def _room(config: Config, run: Run) -> Check:
    parts = [*job.disk(config), (f"base model {2 * job.PARAMETERS / GB:.2g} GB", 2 * job.PARAMETERS)]
    needed = sum(size for _, size in parts)
    there = sum(_size(folder) for folder in (run.folder / "broadcasts", run.checkpoints))
    holder = next(p for p in (run.folder, *run.folder.parents) if p.exists())
    free = shutil.disk_usage(holder).free
    sums = " + ".join(text for text, _ in parts)
    text = f"{sums} = {needed / GB:.0f} GB at most; {free / GB:.0f} GB free at {holder}"
    if there:
        text += f", {there / GB:.0f} GB of this run there already"
    return Check("disk", free + there >= needed, text)


def _prime_rl(checkout: Checkout | None, config: Config) -> Iterator[Check]:
    if checkout is None:
        yield Check("Prime-RL", False, f"no checkout is named; give --prime-rl DIR or set {VARIABLE}")
        return
    yield Check("Prime-RL", True, str(checkout.folder))
    version = checkout.python_version()
    if version is None:
        yield Check("its Python", False, f"{checkout.python} is missing or broken; run uv sync there")
        return
    yield Check("its Python", version == PYTHON, version if version == PYTHON else f"{version}, not {PYTHON}")
    reason = checkout.import_error("kgpert", "kgpert_lib.rl.tasks")
    fix = "install both as the page Training on H100s says"
    yield Check("kgpert there", reason is None, "imported" if reason is None else f"{reason}; {fix}")
    if reason is None:
        yield _own_check(checkout, config)


def _own_check(checkout: Checkout, config: Config) -> Check:
    try:
        refusals = checkout.refusals(config)
    except InputError as error:
        return Check("its own check", False, str(error))
    text = f"{refusals[0].key}: {refusals[0].text}" if refusals else "Prime-RL takes the files"
    return Check("its own check", not refusals, text)


def _atlas(config: Config, findings: Sequence[Finding]) -> Check:
    if any(f.level == "error" for f in findings):
        return Check("questions", False, "not read before the configuration is right")
    measured, failed = counted(config)
    if failed:
        return Check("questions", False, failed[0].text)
    lengths = [f for f in check(config, measured) if f.level == "error"]
    text = lengths[0].text if lengths else ", ".join(f"{name} {q.count:,}" for name, q in measured.items())
    return Check("questions", not lengths and bool(measured), text or "no source asks any")


def _program(name: str, hint: str) -> Check:
    path = shutil.which(name)
    return Check(name, path is not None, path or f"it is not on the PATH; {hint}")


def _size(folder: Path) -> int:
    def of(path: Path) -> int:
        try:
            return path.lstat().st_size
        except OSError:  # removed meanwhile
            return 0

    return sum(of(path) for path in folder.rglob("*")) if folder.is_dir() else 0


def ready(checks: Sequence[Check]) -> bool:
    """Whether nothing is missing."""
    return all(c.passed for c in checks)


def start_step(config: Config, run: Run) -> int | None:
    """The step from which the run goes on; None where it begins.

    InputError where it has reached its last step already, and where a run under SLURM has no checkpoint: whether it
    is running cannot be seen from here.
    """
    last, most = run.last_step, get(config, "max_steps")
    if last is not None and most is not None and last >= most:
        raise InputError(f"{run.folder} has reached its last step, {last}; serve it, or raise max_steps.")
    if last is None and run.used and get(config, "slurm") is not None:
        raise InputError(
            f"{run.folder} holds a run without a checkpoint, which may be running; name another --run-dir."
        )
    return last


def beginning(step: int | None) -> str:
    """What a run does that starts after a step, for a sentence about it."""
    return "begins at its first step" if step is None else f"goes on from step {step}"


def last_weights(run: Run) -> int | None:
    """The last step whose weights were kept for serving."""
    return max(steps(run.folder / "broadcasts"), default=None)
