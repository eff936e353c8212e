"""Figures of the chapter on training: one gene's way to its reward, and the study of the reward's shape."""

from __future__ import annotations

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kgpert_lib.lines import LINES
from kgpert_lib.studies.langpert import KINDS
from kgpert_lib.studies.rl_training import PARTS, Edit, Example
from kgpert_lib.studies.style import BLUE, GREEN, GREY, ORANGE, WHITE, noted, number, signed, typographic

MARKS = {"kept": ("o", GREY), "removed": ("X", ORANGE), "added": ("P", GREEN)}
PART_COLOURS = {"format": "#9ecae1", "validity": BLUE, "pearson": GREEN}
UNEDITED = "graphs, unedited"
SETS = {UNEDITED: GREY, "model's answer": BLUE, "gold edit": GREEN}
LONGEST = 330  # characters of an answer that are shown
WIDTH = 41  # characters of a line of text in the right half
COLUMNS = {"graphs": 0.23, "answer": 0.53, "gold": 0.78}  # of the left half, where each begins
FEWEST = 8  # rows for which there is room
ENDS = 1.75  # of the axis of correlations, with room for numbers


def one_gene(example: Example) -> Figure:
    """One gene's way: neighbourhood, answer, edited neighbourhood, Pearson delta before and after, and the reward."""
    genes = example.genes()
    figure = plt.figure(figsize=(9.8, max(0.3 * len(genes) + 1.4, 6.2)))
    grid = figure.add_gridspec(3, 2, width_ratios=(1.3, 1), height_ratios=(1.55, 0.8, 0.95))
    _fates(figure.add_subplot(grid[:, 0]), example, genes)
    _text(figure.add_subplot(grid[0, 1]), example)
    _pearson(figure.add_subplot(grid[1, 1]), example)
    _rewards(figure.add_subplot(grid[2, 1]), example)
    title = f"{example.title}, {LINES.get(example.question.line, example.question.line)} cells"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, parse_math=False)
    head = {"line": example.question.line, "knocked down": example.question.gene}
    pearson = pd.DataFrame(
        {"neighbourhood": list(_correlations(example)), "pearson": list(_correlations(example).values())}
    )
    tables = {"gene": genes, "Pearson delta": pearson, "weighted part of the reward": _parts(example)}
    return noted(figure, example.atlas, {name: table.assign(**head) for name, table in tables.items()})


def signal(shapes: pd.DataFrame, shares: pd.DataFrame, atlas: str, alpha: float, beta: float, share: float) -> Figure:
    """Signal to noise of the advantage by alpha and beta, and by the share of the Pearson part; frames mark defaults.

    `shapes` and `shares` are those of `studies.reward`. Right of the orange line a valid answer can earn less than an
    unreadable one.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.0), width_ratios=(1.2, 1))
    grid = shapes.pivot(index="alpha", columns="beta", values="signal")
    axes[0].pcolormesh(grid.to_numpy(), cmap="Blues", vmin=0, vmax=1.6 * grid.to_numpy().max())
    for (row, column), value in np.ndenumerate(grid.to_numpy()):
        axes[0].text(column + 0.5, row + 0.5, f"{value:.3f}", ha="center", va="center", fontsize=9)
    corner = int(np.searchsorted(grid.columns, beta)), int(np.searchsorted(grid.index, alpha))
    axes[0].add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=ORANGE, linewidth=2.5))
    axes[0].set_xticks(np.arange(grid.shape[1]) + 0.5, [f"{value:g}" for value in grid.columns])
    axes[0].set_yticks(np.arange(grid.shape[0]) + 0.5, [f"{value:g}" for value in grid.index])
    axes[0].set_xlabel("beta: share that the sign of the gap decides")
    axes[0].set_ylabel("alpha: scale of the gap")
    axes[0].set_title(f"shape of the Pearson part (n = {shapes['n'].iloc[0]})")
    axes[0].grid(visible=False)
    axes[1].fill_between(shares["share"], shares["signal_low"], shares["signal_high"], color=BLUE, alpha=0.2)
    axes[1].plot(shares["share"], shares["signal"], "o-", color=BLUE)
    axes[1].axvline(share, color=ORANGE, linewidth=1.5)
    for x, y in zip(shares["share"], shares["signal"], strict=True):
        number(axes[1], f"{y:.3f}", x, y)
    axes[1].set_ylim(0, 1.25 * shares["signal_high"].max())
    axes[1].set_xlim(0.27, 1.07)
    axes[1].set_xlabel("share of the Pearson part in the reward")
    axes[1].set_ylabel("signal to noise")
    axes[1].set_title("weight of the Pearson part")
    return noted(figure, atlas, {"shape of the Pearson part": shapes, "weight of the Pearson part": shares})


def _fates(axis: Axes, example: Example, genes: pd.DataFrame) -> None:
    """A row for each gene: the graphs that gave it, and what the answer and the gold edit do with it."""
    rows = max(len(genes) + 1, FEWEST)
    heads = {"graphs": "neighbour in", "answer": "model", "gold": "gold edit"}
    axis.set_axis_off()
    axis.set_xlim(0, 1)
    axis.set_ylim(-rows, 1.2)
    axis.text(0, 0.5, "gene", fontweight="bold", fontsize=10)
    for name, head in heads.items():
        axis.text(COLUMNS[name], 0.5, head, fontweight="bold", fontsize=10)
    axis.plot([0, 1], [0.25, 0.25], color="black", linewidth=0.8)
    for row, gene in enumerate(genes.to_dict("records")):
        y = -row - 0.5
        if row % 2 == 0:
            axis.axhspan(y - 0.5, y + 0.5, color="#f4f4f4", zorder=0)
        axis.text(0, y, gene["gene"], va="center", fontsize=9.5, parse_math=False)
        source = gene["graphs"] or "no neighbour"
        axis.text(COLUMNS["graphs"], y, source, va="center", fontsize=9, color=GREY, parse_math=False)
        for name in ("answer", "gold"):
            if gene[name]:
                mark, colour = MARKS[gene[name]]
                axis.plot(COLUMNS[name] + 0.015, y, mark, color=colour, markersize=7)
                axis.text(COLUMNS[name] + 0.045, y, gene[name], va="center", fontsize=9.5, color=colour)
    y = -len(genes) - 0.5
    axis.plot([0, 1], [y + 0.5, y + 0.5], color="black", linewidth=0.8)
    sizes = {"answer": example.answer, "gold": example.gold}
    axis.text(0, y, f"averaged: {len(example.question.neighbours)} genes", va="center", fontsize=9.5)
    for name, edit in sizes.items():
        axis.text(COLUMNS[name] + 0.045, y, str(edit.verdict.size), va="center", fontsize=9.5)


def _text(axis: Axes, example: Example) -> None:
    """The words of the answer and of the gold edit, and the proposals that are ignored."""
    axis.set_axis_off()
    y = 1.0
    for title, body in (
        (f"answer of {example.model}", _words(example.answer.text)),
        ("ignored", _ignored(example.answer)),
        ("gold edit (the search sees the measured delta)", _words(example.gold.text)),
    ):
        lines = textwrap.wrap(body, WIDTH) or ["nothing"]
        axis.text(0, y, title, va="top", fontsize=9.5, fontweight="bold", transform=axis.transAxes, parse_math=False)
        y -= 0.1
        axis.text(
            *(0, y, "\n".join(lines)),
            va="top",
            fontsize=9,
            family="monospace",
            transform=axis.transAxes,
            parse_math=False,
        )
        y -= 0.092 * len(lines) + 0.05


def _pearson(axis: Axes, example: Example) -> None:
    """Pearson delta of the graphs' neighbourhood and of both edited ones."""
    before = example.answer.verdict.unedited
    values = _correlations(example)
    for row, (name, value) in enumerate(reversed(values.items())):
        axis.barh(row, value, color=SETS[name], height=0.6)
        text = typographic(f"{value:.3f}")
        if name != UNEDITED:
            text += f" (gap {signed(value - before)})"
        place = max(value, 0), row
        axis.annotate(text, place, (4, 0), textcoords="offset points", va="center", fontsize=9, bbox=WHITE)
    axis.axvline(before, color=GREY, linestyle="--", linewidth=1)
    axis.tick_params(labelsize=9)
    axis.set_yticks(range(len(values)), list(reversed(values)), fontsize=9)
    axis.set_xlim(min(0, *values.values()), ENDS)
    axis.set_xticks(np.arange(0, 1.1, 0.25))
    axis.set_xlabel("Pearson delta with the measured effect", fontsize=9)
    axis.grid(visible=False, axis="y")


def _rewards(axis: Axes, example: Example) -> None:
    """The weighted parts of both rewards, stacked; a negative part stands left of 0."""
    edits = {"gold edit": example.gold, "model's answer": example.answer}
    for row, edit in enumerate(edits.values()):
        right = left = 0.0
        for part in PARTS:
            value = edit.verdict.weighted[part]
            start = right if value >= 0 else left
            colour, name = PART_COLOURS[part], "Pearson" if part == "pearson" else part
            axis.barh(row, value, left=start, color=colour, height=0.5, label=name if row == 0 else None)
            right, left = right + max(value, 0), left + min(value, 0)
        text = f"reward {signed(edit.verdict.total)}"
        axis.annotate(text, (right, row), (5, 0), textcoords="offset points", va="center", fontsize=9, bbox=WHITE)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_yticks(range(len(edits)), list(edits), fontsize=9)
    axis.set_xlim(-0.55, ENDS)
    axis.set_xticks(np.arange(-0.5, 1.1, 0.5))
    axis.tick_params(labelsize=9)
    axis.set_ylim(-0.5, 2.1)
    axis.set_xlabel("weighted parts of the reward", fontsize=9)
    axis.grid(visible=False, axis="y")
    axis.legend(loc="upper left", ncols=3, fontsize=9)


def _correlations(example: Example) -> dict[str, float]:
    """Pearson delta of the mean over each of `SETS`."""
    before = example.answer.verdict.unedited
    gaps = 0.0, example.answer.verdict.gap, example.gold.verdict.gap
    return {name: before + gap for name, gap in zip(SETS, gaps, strict=True)}


def _parts(example: Example) -> pd.DataFrame:
    """What each part adds to the reward of both edits."""
    edits = {"gold edit": example.gold, "model's answer": example.answer}
    rows = [(name, part, edit.verdict.weighted[part]) for name, edit in edits.items() for part in PARTS]
    return pd.DataFrame(rows, columns=["neighbourhood", "part", "value"])


def _words(text: str) -> str:
    """A model's text on one line, shortened, in characters that any font has."""
    line = " ".join(text.split()).encode("ascii", "backslashreplace").decode()
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} [...]"


def _ignored(edit: Edit) -> str:
    proposals = [f"{_words(drop.text)[:20]} ({KINDS[drop.kind]})" for drop in edit.proposal.dropped]
    return ", ".join(proposals) or "nothing"
