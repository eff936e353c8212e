"""The page Training on H100s: its commands are commands, its files are there, and its numbers are those of the job."""

import itertools
import re
import shlex
from pathlib import Path

import pytest
import typer

from kgpert_lib.cli.commands import app
from kgpert_lib.rl.job import config as job
from kgpert_lib.rl.job.prime import COMMIT, find_checkout

PAGE = (Path(__file__).parents[3] / "book" / "prime_rl.md").read_text(encoding="utf-8")
README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"^(?:docker run .*? )?kgpert (rl .*?)(?:\s+#.*)?$", PAGE + README, re.MULTILINE)))


def rows(first):
    """Cells of the table rows whose first cell begins with `first`."""
    return [
        [c.strip() for c in line.strip("| ").split("|")] for line in PAGE.splitlines() if line.startswith(f"| {first}")
    ]


def job_config(*overlays):
    return job.read(job.job_files(overlays))


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_one_with_its_options(line):
    _, name, *words = shlex.split(line)
    command = typer.main.get_command(app).commands["rl"].commands[name]
    assert command.make_context(name, words).params
    for word in words:
        if word.startswith("env/"):
            assert (job.job_folder() / Path(word).name).is_file()
    overlays = [after for word, after in itertools.pairwise(words) if word == "--overlay"]
    assert set(overlays) <= set(job.OVERLAYS)


def test_there_are_commands_of_every_kind():
    assert {line.split()[1] for line in COMMANDS} == set(typer.main.get_command(app).commands["rl"].commands)


def test_every_file_of_the_job_has_its_row_and_no_other():
    named = {row[0].strip("`") for row in rows("`") if row[0].endswith(".toml`")}
    assert named == {path.name for path in job.job_folder().glob("*.toml")}
    assert PAGE.count(COMMIT) == PAGE.count("559b447") >= 3


def test_hours_and_cost_are_what_the_job_expects():
    table = job.expected(job_config("h100x4"))
    shown = [
        [float(cell.replace(",", "")) for cell in row[1:]] for start in ("paper, ", "ours, ") for row in rows(start)
    ]
    assert shown == table[["hours", "gpu_hours", "dollars"]].round(0).to_numpy().tolist()
    assert [row[0] for row in rows("ours")] == [f"{table['assumption'].iloc[-1]} on 4 H100s"]


def test_the_disk_that_the_page_names_is_that_of_the_checks():
    model = 2 * job.PARAMETERS
    for overlay, number in (("h100x4", 297), ("one_gpu", 63)):
        needed = (sum(size for _, size in job.disk(job_config(overlay))) + model) / job.GB
        assert round(needed) == number
        assert f"{number} GB" in PAGE


@pytest.mark.needs_prime_rl
def test_prime_rl_knows_every_knob_against_lack_of_memory(prime_rl):
    config = job_config("h100x4")
    for row in rows("`trainer.model.") + rows("`inference."):
        for key in re.findall(r"`([a-z_.]+)", row[0]):
            value = {"1024": 1024, "1": 1, "0.8": 0.8, "64": 64, "`true`": True, "8 GB": 8_000_000_000}[row[2]]
            for part in reversed(key.split(".")):
                value = {part: value}
            config = job.overlaid(config, value)
    config = job.overlaid(config, {"trainer": {"model": {"optim_cpu_offload": False, "fsdp_cpu_offload": False}}})
    assert "ac_offloading" in config["trainer"]["model"]
    assert find_checkout(prime_rl).refusals(config) == []
