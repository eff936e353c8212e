"""Draw the picture of the landing page and write its numbers: `make finding`."""

from pathlib import Path

from kgpert_lib.evaluation.evaluate import evaluate_lines
from kgpert_lib.files import write_text
from kgpert_lib.lines import LINES
from kgpert_lib.predictors.named import Options, build
from kgpert_lib.screens.load import load_screen
from kgpert_lib.studies.graph_neighbours import gains
from kgpert_lib.studies.graph_neighbours_figures import paired_gains
from kgpert_lib.studies.numbers import csv, numbers
from kgpert_lib.studies.style import style

MEAN = "mean of all knock-downs"
LABELS = {
    "training mean": MEAN,
    "string": "neighbours in STRING",
    "go": "neighbours in GO",
    "string+go": "neighbours in either",
}

if __name__ == "__main__":
    style()
    screen = load_screen("perturbqa", list(LINES))
    predictors = [build(name, screen, Options(prior=1.0)) for name in ("mean", "string", "go", "union")]
    scores = evaluate_lines(screen.atlas, list(screen.lines), predictors)
    scores["predictor"] = scores["predictor"].map(LABELS)
    figure = paired_gains(gains(scores, reference=MEAN))
    folder = Path(__file__).parent / "_static"
    figure.savefig(folder / "finding.png", dpi=150, metadata={"Software": None})
    write_text(folder / "finding.csv", csv(numbers(figure)))
