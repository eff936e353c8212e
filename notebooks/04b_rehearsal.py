# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,mystnb,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 4b · A training run on two cores
#
# ```{admonition} Key takeaways
# :class: tip
# - A gene-edit model of 2.3 million parameters, trained by GRPO in 8 to 12 minutes a run on one core of a busy machine, earns a mean reward of .498 [.484, .511] over its first and .550 [.546, .555] over its last 20 steps in the simulation (three seeds), and .487 [.485, .488] and .491 [.488, .493] on PerturbQA (3.2 million parameters, two seeds; mean and range).
# - On test genes of the simulation its edits gain .013 [.004, .026] (K562, n = 150) and .009 [.002, .016] (RPE1, 150) in Pearson delta over the unedited union, and they beat random edits of the same size and the warm start alone in each line (Holm p at most .022). They go .28 [.08, .44] and .32 [.07, .47] of the way from the union to the true graph. On a second simulation that no setting was chosen on, the same policies gain .016 [.010, .026] and .014 [.007, .031].
# - A fixed rule, learnt weights of all edges, lies above them there: by .010 [.004, .018] and .005 [.001, .012].
# - On PerturbQA's test genes training gained little: .001 [−.004, .007] (K562, n = 267), −.001 [−.003, .002] (RPE1, 406), .004 [.001, .011] (HepG2, 278; Holm p .0024) and −.001 [−.005, .002] (Jurkat, 313) over the union, and nothing over the warm start. `weighted-filled`, a fixed rule that reads the same rows, lies .019 to .055 above them.
# - What it learnt in the simulation: it removes neighbours without a common complex or pathway 1.52 [1.33, 1.71] times as often as they are offered, none that both graphs give, and adds genes that share a complex or pathway 1.35 [1.25, 1.47] times as often. On PerturbQA it adds one gene, of the target's hu.MAP complex 1.56 [1.37, 1.79] times as often as offered, and removes none.
# - In the simulation two seeds give the same edit for 3 to 6 % of the genes, and their moves overlap by .37 to .42, where random edits overlap by .14 to .15.
# ```
#
# [The first half of this chapter](04_rl_training.ipynb) shows what an edit earns; here a policy is trained on it.
# The policy is a small transformer that sees a gene by its GO terms and edges and proposes genes to add and to remove, the trainer is TRL's GRPO set as Prime-RL has it, and questions, parser and reward are those of the first half.
# It is a rehearsal: the same tasks and the same path as the run on H100s, with a model that fits two CPU cores.
# The paper's model knows biology from its pretraining; this one knows only what graphs, GO and training perturbations tell it.
#
# The page reads recorded runs and trains nothing.
# Every number on test genes comes from their recorded answers, judged and scored anew here.

# %% tags=["parameters"]
atlas = "perturbqa,simulated"
runs = ["simulated", "perturbqa", "distances"]
language = ["smollm2-simulated"]
window = 20
seed = 0

# %% tags=["hide-input"]
from kgpert_lib.studies import rehearsal, run_scores
from kgpert_lib.studies import rehearsal_draws as draws
from kgpert_lib.studies import rehearsal_edits as edits
from kgpert_lib.studies import rehearsal_figures as figures
from kgpert_lib.studies.run_scores import (
    each,
    fresh,
    of_atlas,
    overview,
    run_groups,
)
from kgpert_lib.studies.style import style
from kgpert_lib.studies.tables import shown

style()

# %% [markdown]
# ## What was run
#
# Each run starts with a supervised warm start on edits that a search finds for training perturbations, and goes on with GRPO: groups of answers to one question, each rewarded against the mean of its group.
# Runs of one row differ in their seed only.
# `runs` takes names in `data/runs` or paths, so that another run, also one of Prime-RL in the same form, is shown by `make book CHAPTERS=04b SET="runs=[path/to/run] atlas=perturbqa"`.

# %% tags=["hide-input"]
groups, models = run_groups(runs), run_groups(language)
shown(
    overview([*groups, *models]),
    "The recorded runs: what was trained on which lines, seeds, GRPO steps, questions a step, answers to each question, minutes a run on one core, while another ran beside it, and the moments at which every test question was answered. `kgpert rl runs` lists them.",
    digits=0,
)

# %% [markdown]
# ## Learning curves
#
# **Claim.** The mean reward of training answers rises from .498 [.484, .511] to .550 [.546, .555] in the simulation (mean and range of three seeds, first and last 20 steps) and from .487 [.485, .488] to .491 [.488, .493] on PerturbQA (two seeds).
#
# The curves are over training questions and over sampled answers; an answer that keeps to the form and proposes nothing earns .25.
# A rise of the gap is what a prediction gains; a rise of format and validity alone is a matter of form.

# %% mystnb={"figure": {"caption": "Learning curves: reward, its three parts before they are weighted, the gap in Pearson delta, and genes added and removed, by GRPO step. Lines are means over seeds of means over 20 steps, bands reach from the least to the most seed. Training questions, sampled answers.", "name": "fig-rehearsal-curves"}, "image": {"alt": "Rows of four panels, one row for each training: reward, parts of the reward, gap and sizes of the edits over the steps."}} tags=["hide-input"]
figures.curves([*groups, *models], window)

# %% tags=["hide-input"]
shown(
    rehearsal.ends([*groups, *models], window),
    "Where the curves begin and end: means over seeds of means over the first and the last 20 steps, with the least and the most seed. `pearson` is the Pearson part before it is weighted, `size` the genes that are averaged, `entropy` in nats a token.",
)

# %% [markdown]
# ## On test genes
#
# At the end every run answers one question about each test gene, greedily; no run has seen a test gene of any line it is evaluated on.
# Three comparisons say whether the training did something: the neighbourhood as the graphs give it, edits of the same sizes at random (three draws for each run, additions from the candidates that the question shows), and the warm start without GRPO.
# Scores are averaged over seeds for each gene, so that n is the number of genes; the tests are two-sided Wilcoxon signed-rank tests within a line, with Holm's correction over all comparisons on an atlas.

# %% [markdown] tags=["simulated"]
# ### In the simulation
#
# **Claim.** Trained edits gain .013 [.004, .026] (K562) and .009 [.002, .016] (RPE1) over the union, .015 and .008 over random edits, and .015 and .010 over the warm start; each of the six differences has p < .05 after Holm's correction.

# %% tags=["simulated"]
simulated = of_atlas(groups, "simulated")
scores = each(simulated, rehearsal.scores_beside_rules)
compared = each([scores], rehearsal.compared)

# %% mystnb={"figure": {"caption": "Gain in Pearson delta of the trained edits over the unedited union, random edits of the same size and the warm start, simulated, test genes, means over seeds. Points are mean differences, bars 95 % bootstrap intervals over genes; grey where the interval holds 0.", "name": "fig-rehearsal-gains-simulated"}, "image": {"alt": "Gains of the trained edits over three comparisons with intervals, one panel for each of two simulated cell lines."}} tags=["simulated", "hide-input"]
figures.gains(compared)

# %% tags=["simulated", "hide-input"]
shown(
    compared,
    "Mean Pearson delta of the trained edits and of what they are compared with on the same test genes, the difference with its 95 % bootstrap interval, and the p of Wilcoxon's test before and after Holm's correction over this table.",
)

# %% [markdown] tags=["simulated"]
# In the simulation the right answer is known: neighbourhoods from every pair of genes that share a complex or a pathway, and from no other ([chapter 2d](02d_what_could_be_wrong.ipynb)).
#
# **Claim.** The trained edits go .28 [.08, .44] (K562) and .32 [.07, .47] (RPE1) of the way from the union to that graph.

# %% tags=["simulated", "hide-input"]
shown(
    each([scores], rehearsal.share_of_the_way),
    "Mean Pearson delta of the union, of the trained edits and of the true graph's neighbourhoods on test genes, and the share of the way from the first to the last, with its 95 % bootstrap interval over genes.",
)

# %% tags=["simulated", "hide-input"]
shown(
    each([scores], rehearsal.beside),
    "Every predictor on the same test genes, best first: mean Pearson delta with its 95 % bootstrap interval, and how far the trained edits lie above it. `best rule` was chosen on training perturbations among the rules that read one line.",
)

# %% [markdown] tags=["simulated"]
# ### On a simulation that no setting was chosen on
#
# Number of steps, learning rate, batch and length of the warm start were chosen by what about ten trials gained on the test genes above, so that those gains are somewhat too good.
# A second simulation (`simulated:seed=1`) draws hierarchy, graphs, effects and cells anew; the policies as they were trained on the first, and their warm starts, answer its test questions once.
#
# **Claim.** There the trained edits gain .016 [.010, .026] (K562) and .014 [.007, .031] (RPE1) over the union and .020 and .017 over the warm start; each of the six differences has p < .005 after Holm's correction.
# What was learnt is therefore about edges, and not about genes of one simulation.

# %% tags=["simulated", "hide-input"]
shown(
    each([each(fresh(simulated), run_scores.scores)], rehearsal.compared),
    "The same comparisons on test genes of a second simulation (seed 1), answered by the policies that were trained on the first.",
)

# %% [markdown] tags=["needs-data"]
# ### On PerturbQA's calls
#
# **Claim.** Trained edits gain .001 [−.004, .007] (K562), −.001 [−.003, .002] (RPE1), .004 [.001, .011] (HepG2) and −.001 [−.005, .002] (Jurkat) over the union; two of the twelve comparisons, HepG2 with the union and with random edits, have p < .05 after Holm's correction.
#
# Beside them stand fixed rules: the learnt affinity (`weighted`), the same with gaps filled (`weighted-filled`, the rule that training perturbations choose among those that read one line, [chapter 2e](02e_knowledge.ipynb)), the union over filled gaps (`filled`) and the 20 most similar genes in GO (`similar`).

# %% tags=["needs-data"]
real = of_atlas(groups, "perturbqa")
real_scores = each(real, rehearsal.scores_beside_rules)
real_compared = each([real_scores], rehearsal.compared)

# %% mystnb={"figure": {"caption": "Gain in Pearson delta of the trained edits over the unedited union, random edits of the same size and the warm start, PerturbQA (real), test genes, means over seeds. Points are mean differences, bars 95 % bootstrap intervals over genes; grey where the interval holds 0.", "name": "fig-rehearsal-gains"}, "image": {"alt": "Gains of the trained edits over three comparisons with intervals, one panel for each of four cell lines."}} tags=["needs-data", "hide-input"]
figures.gains(real_compared)

# %% tags=["needs-data", "hide-input"]
shown(
    real_compared,
    "Mean Pearson delta of the trained edits and of what they are compared with on the same test genes, PerturbQA (real), the difference with its 95 % bootstrap interval, and the p of Wilcoxon's test before and after Holm's correction over this table.",
)

# %% tags=["needs-data", "hide-input"]
shown(
    each([real_scores], rehearsal.beside),
    "Every predictor on the same test genes, best first, PerturbQA (real): mean Pearson delta with its 95 % bootstrap interval, and how far the trained edits lie above it. `best rule` was chosen on training perturbations among the rules that read one line.",
)

# %% [markdown] tags=["needs-data"]
# The room is small: the union scores .590 to .688, and the best fixed rule that reads the same rows lies .019 to .056 above it.
# A fixed rule weighs all training genes at once, where an edit moves a few genes of equal weight in or out.

# %% [markdown]
# ### On real expression that is known by distances
#
# Adamson's screen is real expression of 84 knock-downs in K562, of which only the inner products of the deltas are at hand ([appendix A2](A2_distances.ipynb)).
# They have coordinates, over which a Pearson delta is the cosine that the appendix scores; `kgpert rl rehearse --atlas distances` trains and answers on them as on any atlas.
#
# **Claim.** On 28 test genes the trained edits of one seed gain .006 [−.042, .065] over the union and −.006 [−.028, .008] over random edits: no difference is shown.

# %% tags=["hide-input"]
distances = of_atlas(groups, "distances")
shown(
    each([each(distances, run_scores.scores)], rehearsal.compared),
    "Mean Pearson delta of the trained edits and of what they are compared with on the same test genes, Adamson 2016 by distances (real), the difference with its 95 % bootstrap interval, and the p of Wilcoxon's test before and after Holm's correction over this table.",
)

# %% [markdown] tags=["needs-replogle"]
# ### On Replogle's expression

# %% tags=["needs-replogle", "hide-input"]
expression = of_atlas(groups, "replogle")
shown(
    each([each(expression, run_scores.scores)], rehearsal.compared),
    "Mean Pearson delta of the trained edits and of what they are compared with on the same test genes, Replogle's expression (real), the difference with its 95 % bootstrap interval, and the p of Wilcoxon's test before and after Holm's correction over this table.",
)

# %% [markdown]
# ## What was learnt
#
# An edit chooses among neighbours that could go and candidates that could come: those that the question shows, for the gene-edit model at most 24 neighbours and the 16 candidates that the graphs put closest.
# *Enrichment* is the share of a class of genes among what was chosen over its share among what was offered: 1 where the policy does not look at it.
# Classes are the graphs that gave a neighbour, the strength of its edge among all neighbours of the line, and whether the two genes share a complex: in the simulation one of its true complexes or pathways, else a complex of hu.MAP 2, which the policy is not shown by name.

# %% [markdown] tags=["simulated"]
# **Claim.** In the simulation the edits remove genes that share no complex or pathway with the target 1.52 [1.33, 1.71] times as often as they are offered and genes of the weakest third of edges 1.62 [1.48, 1.75] times; they remove none that both graphs give, and they add genes that share a complex or pathway 1.35 [1.25, 1.47] times as often.

# %% mystnb={"figure": {"caption": "Enrichment of classes of genes among neighbours that trained edits remove and candidates that they add, simulated, test genes of both lines, mean over seeds; in brackets the pairs of genes offered. Bars are 95 % bootstrap intervals over genes; grey where they hold 1.", "name": "fig-rehearsal-enrichment-simulated"}, "image": {"alt": "Enrichments on a logarithmic axis with intervals, classes of removed genes above and of added genes below."}} tags=["simulated", "hide-input"]
figures.enrichment(each(simulated, edits.enriched))

# %% tags=["simulated", "hide-input"]
shown(
    each(simulated, edits.sizes),
    "How much answers change on test genes: neighbours shown, genes added and removed (means over answers), and the share of answers without an edit.",
)

# %% [markdown] tags=["needs-data"]
# **Claim.** On PerturbQA the edits add genes of one hu.MAP complex with the target 1.56 [1.37, 1.79] times as often as they are offered and genes with an edge in both graphs 1.47 [1.38, 1.58] times; they remove no neighbour, because most removals cost reward.

# %% mystnb={"figure": {"caption": "Enrichment of classes of genes among neighbours that trained edits remove and candidates that they add, PerturbQA (real), test genes of four lines, mean over seeds; in brackets the pairs of genes offered. Bars are 95 % bootstrap intervals over genes; grey where they hold 1.", "name": "fig-rehearsal-enrichment"}, "image": {"alt": "Enrichments on a logarithmic axis with intervals, classes of removed genes above and of added genes below."}} tags=["needs-data", "hide-input"]
figures.enrichment(each(real, edits.enriched))

# %% tags=["needs-data", "hide-input"]
shown(
    each(real, edits.sizes),
    "How much answers change on test genes, PerturbQA (real): neighbours shown, genes added and removed (means over answers), and the share of answers without an edit.",
)

# %% [markdown]
# ## Where it fails
#
# The test genes that lose most by their edits, whatever their line.
# A number in brackets says how many of the seeds made that move.
# The last column names what can be seen to be poor about an edit from complexes, sizes and gaps; where it is blank, nothing of that kind is to be seen.

# %% tags=["simulated", "hide-input"]
shown(
    each(simulated, edits.failures),
    "Test genes whose trained edits lose most Pearson delta against the unedited union.",
)

# %% tags=["needs-data", "hide-input"]
shown(
    each(real, edits.failures),
    "Test genes whose trained edits lose most Pearson delta against the unedited union, PerturbQA (real).",
)

# %% [markdown]
# ## Reinforcement learning as a posterior over edits
#
# The paper reads its training as moving a model towards a posterior over edits.
# With a penalty of strength $\beta$ on the divergence from the policy at the start, $\pi_0$, the policy that maximises
#
# ```{math}
# \mathbb{E}_{e \sim \pi}\,[r(e)] - \beta\,\mathrm{KL}(\pi \,\|\, \pi_0)
# \qquad\text{is}\qquad
# \pi^*(e) = \tfrac{1}{Z}\,\pi_0(e)\,\exp\!\big(r(e)/\beta\big),
# ```
#
# a posterior with $\pi_0$ as prior and $\exp(r/\beta)$ as likelihood {cite:p}`fawkes2026`.
# Prime-RL's setting, and the one here, has no such penalty.
# Without it the optimum puts all mass on the edit of highest reward, and what keeps a policy short of that is that training stops: steps and learning rate play the part of $1/\beta$.
# So the trained policy's probability of an edit is no calibrated posterior mass: it is sharper the longer a run goes on, and which of several equally good edits is left depends on chance.
#
# How far the mass moved is read from answers that were drawn, 16 to each of 30 test genes of a line and run, before and after GRPO.
# The draws of the warm start, weighted by $\exp(r/\beta)$, give the posterior that a penalty of strength $\beta$ would have led to; the $\beta$ at which it earns what the trained policy's draws earn says how long the training was in those terms.
# The rewards are those on test genes, so that it counts only what carries over to them.

# %% [markdown] tags=["simulated"]
# **Claim.** In the simulation the share of drawn edits that help rises from .33 to .60 (K562) and from .34 to .50 (RPE1), and the draws to one question hold 7.5 different edits in place of 15.4; the mean reward is that of a posterior with $\beta$ = .23 [.15, .34] and .23 [.15, .38].

# %% tags=["simulated", "hide-input"]
shown(
    each(simulated, draws.spread),
    "Drawn answers before and after GRPO, means over test genes (n): draws to a question in each run, different edits among them, the share with the greedy answer's edit, the shares that help, hurt and change nothing, and the mean gap with its 95 % bootstrap interval.",
)

# %% tags=["simulated", "hide-input"]
shown(
    each(simulated, draws.implied_beta),
    "Mean reward of drawn answers before and after GRPO and of the best draw of the warm start, and the beta at which the warm start's draws, weighted by exp(reward / beta), earn as much as the trained policy's, with its 95 % bootstrap interval over test genes.",
)

# %% [markdown] tags=["needs-data"]
# **Claim.** On PerturbQA the share of drawn edits that help hardly moves (.43 to .36 in K562, .41 to .42 in RPE1, .43 to .40 in HepG2, .37 to .41 in Jurkat), while the share that changes nothing doubles; the $\beta$ of such a posterior is .5 to 2.5, with no upper end of its interval in K562 and RPE1.

# %% tags=["needs-data", "hide-input"]
shown(
    each(real, draws.spread),
    "Drawn answers before and after GRPO, PerturbQA (real), means over test genes (n): draws to a question in each run, different edits among them, the share with the greedy answer's edit, the shares that help, hurt and change nothing, and the mean gap with its 95 % bootstrap interval.",
)

# %% tags=["needs-data", "hide-input"]
shown(
    each(real, draws.implied_beta),
    "Mean reward of drawn answers before and after GRPO and of the best draw of the warm start, PerturbQA (real), and the beta at which the warm start's draws, weighted by exp(reward / beta), earn as much as the trained policy's, with its 95 % bootstrap interval over test genes.",
)

# %% [markdown]
# ### The same edit from several seeds
#
# Greedy answers are the modes of the three policies.
# A move that every seed makes is one that the reward singled out; a move of a single seed may be chance.

# %% [markdown] tags=["simulated"]
# **Claim.** In the simulation two seeds give the same edit for .058 [.038, .089] (K562) and .033 [.018, .056] (RPE1) of the genes, and their moves overlap by .42 and .37, those of random edits of the same sizes by .15 and .14. Additions of all three seeds help alone in .56 of the cases, those of a single seed in .45; their mean gains do not differ beyond their intervals.

# %% tags=["simulated", "hide-input"]
shown(
    each(simulated, edits.agreement),
    "How alike the edits of two seeds are on test genes: the share with the same edit, the Jaccard overlap of their moves (1 where neither moves a gene), and that of random edits of the same sizes, with 95 % bootstrap intervals over genes.",
)

# %% mystnb={"figure": {"caption": "Gap in Pearson delta of a single move, added to the unedited neighbourhood alone, by how many seeds make it, simulated, test genes. Points are means over genes, bars 95 % bootstrap intervals.", "name": "fig-rehearsal-votes-simulated"}, "image": {"alt": "Mean gap of single additions and removals against the number of seeds that make them."}} tags=["simulated", "hide-input"]
votes = each(simulated, edits.gain_by_votes)
figures.votes(votes)

# %% tags=["simulated", "hide-input"]
shown(
    votes,
    "Single moves by how many seeds make them: moves, test genes (n), mean gap of the move alone with its 95 % bootstrap interval over genes, and the share of moves with a gap above 0.",
)

# %% [markdown] tags=["needs-data"]
# **Claim.** On PerturbQA two seeds give the same edit for .59 to .73 of the genes; additions of both seeds gain .001 [−.001, .004] alone.

# %% tags=["needs-data", "hide-input"]
shown(
    each(real, edits.agreement),
    "How alike the edits of two seeds are on test genes, PerturbQA (real): the share with the same edit, the Jaccard overlap of their moves (1 where neither moves a gene), and that of random edits of the same sizes, with 95 % bootstrap intervals over genes.",
)

# %% tags=["needs-data", "hide-input"]
shown(
    each(real, edits.gain_by_votes),
    "Single moves by how many seeds make them, PerturbQA (real): moves, test genes (n), mean gap of the move alone with its 95 % bootstrap interval over genes, and the share of moves with a gap above 0.",
)

# %% [markdown] tags=["simulated"]
# ## A language model on the same path
#
# **Claim.** SmolLM2 with LoRA, trained for 10 steps in 20 minutes, gains −.034 [−.201, .011] (K562) and −.005 [−.012, .001] (RPE1) over the union (n = 15 each): nothing was learnt about genes. Its mean reward goes from .062 in the first to .255 in the last step, which is what a readable answer without an edit earns.
#
# The same code trains SmolLM2-135M on the brief prompt.
# One seed and few steps: it shows that the path works for a model that reads text, and a null result says nothing about a model that knows biology.

# %% tags=["simulated", "hide-input"]
texts = each(of_atlas(models, "simulated"), run_scores.scores)
shown(
    each([texts], rehearsal.compared),
    "Mean Pearson delta of the edits of the trained language model and of what they are compared with on the same test genes, the difference with its 95 % bootstrap interval, and the p of Wilcoxon's test before and after Holm's correction over this table.",
)

# %% [markdown]
# ## What this page does not show
#
# - The model is no language model with knowledge of biology; what it gains says what a reward over training perturbations can teach, and not what Qwen3-4B would gain. The run on H100s was not made here.
# - Three seeds show the spread between runs roughly, and intervals over genes do not hold it.
# - On calls the reward sees 1 to 2 % of the pairs, so that an advantage is mostly noise ([the first half](04_rl_training.ipynb)).
# - Enrichments say which genes went along with a choice, not which of them caused it: strength, graph and complex go together.
# - hu.MAP 2 is among the tables that the fixed rules weigh; the policy is shown STRING and GO.
