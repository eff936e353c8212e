"""Draw the picture of the landing page: `make finding`."""

from pathlib import Path

from kgpert_lib.evaluation import summaries
from kgpert_lib.evaluation.evaluate import evaluate_lines, standard_predictors
from kgpert_lib.screens.load import load_atlas
from kgpert_lib.studies.graph_neighbours_figures import predictor_scores
from kgpert_lib.studies.style import style

LABELS = {
    "training mean": "mean of all knock-downs",
    "string": "neighbours in STRING",
    "go": "neighbours in GO",
    "string+go": "neighbours in either",
}

if __name__ == "__main__":
    style()
    screen = load_atlas("perturbqa", ["k562", "rpe1"])
    predictors = standard_predictors(["string", "go", "string+go"], screen.perturbations(), prior=1.0)
    scores = evaluate_lines(screen, list(screen.lines), [p for p in predictors if p.name in LABELS])
    scores["predictor"] = scores["predictor"].map(LABELS)
    figure = predictor_scores(summaries.scores(scores, ["pearson"]), reference=LABELS["training mean"])
    figure.savefig(Path(__file__).parent / "_static" / "finding.png", dpi=150, metadata={"Software": None})
