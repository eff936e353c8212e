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
# # 3 · Language models: a small one against graphs and gene names
#
# ```{admonition} Key takeaways
# :class: tip
# - SmolLM2, a language model of 135 million parameters, copies mostly the first names of a list that graphs made. Random picks from that list predict better in K562 (+.033 [.015, .053]) and not distinguishably better in RPE1 (+.011 [−.004, .027]).
# - Against random training genes the model's picks gain .024 [−.001, .049] in K562 and .021 [.007, .039] in RPE1 (p = .024 and .006 after {term}`Holm`'s correction): the gain comes from the list, since random picks from it have it too.
# - Its edits of the graphs' neighbourhoods help in neither line; in K562 they cost .010 [.003, .021] (p = .27). Nearly half of the names in these answers are not genes.
# - A rule that compares gene symbols letter by letter recovers half to seven tenths of what the dated graphs gain over the {term}`training mean` on real calls (.068 of .129 in K562, .050 of .072 in RPE1, .054 of .076 in HepG2, .045 of .086 in Jurkat): gene symbols encode function.
# - A model has to beat this rule, random picks and the graphs before its answers show knowledge. A larger model is asked with one command, and stands here beside the same controls.
# ```
#
# LangPert asks a language model which of the measured knock-downs resemble an unmeasured one, and averages their effects {cite:p}`martens2025`.
# The formula is that of the [chapter on graph neighbours](02_graph_neighbours.ipynb); only the neighbours come from another place.
# The paper compares the two and then combines them: a model edits the neighbourhood that graphs give {cite:p}`fawkes2026`.
# This chapter builds both, with controls that score without a model's knowledge.
#
# The answers come from SmolLM2, which runs on any laptop.
# It writes fluent English and knows hardly any biology: **what it answers about genes tests the code and gives a score to compare larger models with**; it says nothing about language models in general.
# The paper asked Gemini 2.5 Pro and Claude Sonnet 4; with a key or a GPU, one command asks a larger model and shows it beside the small one (last section).
# Every answer was recorded once and is read from `data/answers/`; nothing is asked when this page is built, and missing answers are counted.

# %% tags=["parameters"]
atlas = "perturbqa,simulated"
lines = ["k562", "rpe1"]
graph_lines = ["k562", "rpe1", "hepg2", "jurkat"]
models = ["smollm2"]
genes = 100
graph = "string+go"
asked_with = "string-v12+go-2022"
limit = 20
cut = "before"
prior = 1.0
draws = 5
seed = 0

# %% tags=["hide-input"]
from IPython.display import HTML

from kgpert_lib.evaluation import summaries
from kgpert_lib.llm.question_data import question_data
from kgpert_lib.llm.record import open_record
from kgpert_lib.predictors.named import build
from kgpert_lib.screens.load import load_screen
from kgpert_lib.studies import ceilings, langpert, published, tables
from kgpert_lib.studies import langpert_figures as figures
from kgpert_lib.studies.style import style

style()
record = open_record()

# %% [markdown]
# ## What is asked
#
# The questions are about `genes` test genes per line, selected by a rule that depends on no result: the smallest SHA-256 of seed and name.
# A question holds the gene, its full name, its most specific GO terms, the cell line and candidates among the training genes.
# The screens have about 1,600 training genes, and a list of them does not fit the small model's context: it is offered those that STRING and GO put closest to the gene, in alphabetical order.
# These questions were asked with the later tables of the two graphs (`asked_with`), and so the graphs beside the model's answers on this page are those; the four-line rows below use the dated ones.
# A larger model gets the whole list, may write a {term}`chain of thought` first, and names up to 20 genes.
# No measured effect is in any prompt: a test reverses every delta and finds each prompt unchanged.

# %% tags=["needs-data"]
data = question_data(
    load_screen("perturbqa", lines, asked_with), genes, limit, cut, seed
)
recorded = langpert.read(data, models, record)
HTML(langpert.prompt(data, "edits", models[0], record, lines[0], 2))

# %% [markdown]
# **The question about one neighbourhood, as the small model gets it.**
# `Set` is the neighbourhood in STRING and GO, `List` what may be added.
# The templates are in `kgpert_lib/llm/prompts/`; they are reconstructed from the paper's description of its prompts.

# %% [markdown]
# ## What the small model answers
#
# **Claim.** The small model keeps to the form and copies gene names from the list and invents others; asked for two lists at once, half its names are not genes (49 % in K562, 46 % in RPE1).

# %% tags=["needs-data", "hide-input"]
caption = (
    "The first answers of SmolLM2 to LangPert's question, PerturbQA (real), K562, word for word. 'counts' is what is left after names "
    "are resolved, and repetitions, the gene itself, invented names and genes without a training knock-down are dropped."
)
HTML(
    langpert.quotations(
        recorded["langpert", models[0]].in_line(lines[0]),
        most=8,
        caption=caption,
    )
)

# %% tags=["needs-data", "hide-input"]
caption = (
    "How the answers turned out, PerturbQA (real), 100 test genes per line. `missing`: questions without a recorded "
    "answer; `unreadable`: answers without a list; `cut off`: lists without an end; `nothing left`: genes that got the "
    "training mean because no gene was left to average."
)
tables.shown(langpert.counts(recorded), caption, digits=1)

# %% mystnb={"figure": {"caption": "What became of every proposal, by task and line, PerturbQA (real); n is the number of proposals. Green counts; the other colours are the reasons for which a proposal is ignored. A gene is `not a training gene` if its knock-down was not measured in that line or is held out.", "name": "fig-langpert-fates"}, "image": {"alt": "Stacked bars of the share of proposals by what became of them, in K562 and RPE1. For LangPert about three quarters count and most of the others are no human gene; for edits about a quarter counts and nearly half are no human gene."}} tags=["needs-data", "hide-input"]
figures.fates(langpert.fates(recorded), data.screen.name, data.screen.kind)

# %% [markdown]
# ## Proposals inside the graphs
#
# **Claim.** In RPE1 the model's genes lie inside the graphs less often than the genes that it was offered (57 % against 64 %, −.067 [−.114, −.022]); in K562 the interval of the difference includes 0 (64 % against 68 %, −.039 [−.084, .005]).
#
# The paper reports that about half of Gemini's genes and a third of Claude's lie inside the union of its four graphs, and that predicting from those alone loses nothing noticeable.
# A model that picks at random from a list which graphs made already scores high, so the grey bar is the share among all genes that it was offered: what random picks give.

# %% mystnb={"figure": {"caption": "Share of LangPert's genes that an edge of STRING or GO joins to the gene asked about, PerturbQA (real); n is the number of genes. Hatched: published figures for two large models, with the paper's four graphs and the whole training set to pick from; they are not comparable in detail.", "name": "fig-langpert-inside"}, "image": {"alt": "Bars of the share of genes inside the union of the graphs, in K562 and RPE1: about two thirds of the genes offered, somewhat fewer of the small model's, and the published shares of about 50 % for Gemini 2.5 Pro and 30 % for Claude Sonnet 4."}} tags=["needs-data", "hide-input"]
figures.inside_graphs(langpert.inside_graphs(data, recorded))

# %% tags=["needs-data", "hide-input"]
caption = (
    "Share of the model's genes that an edge joins to the gene asked about, beside the share among the genes that it "
    "was offered, PerturbQA (real); n is the number of genes asked about, which the 95 % bootstrap interval draws."
)
tables.shown(
    langpert.inside_against_offered(data, recorded, seed=seed), caption
)

# %% [markdown]
# ## LangPert against graph neighbours and against names
#
# **Claim.** With the small model LangPert cannot be told from the training mean (−.005 [−.029, .018] and .007 [−.005, .022]); random picks from the same list gain .028 [.012, .044] and .019 [.006, .036], graphs .095 [.063, .136] and .075 [.050, .112], and the name rule .068 [.040, .099] and .050 [.027, .088].
#
# - `training mean` and `string-v12+go-2022` predict as in the chapter on graph neighbours, here on the same 100 genes and with the graphs of these questions;
# - `name prefix` knows no biology: it averages the training genes whose symbols begin with the same letters, so MRPL27 gets every MRPL gene;
# - `inside graphs` keeps only those of the model's genes that an edge confirms;
# - `first offered genes` and `random offered genes` take as many genes as the model did, from the beginning of the same list or at random; `random training genes` draws them from all training genes. Random rows are means over `draws` draws.

# %% tags=["needs-data"]
scores = langpert.langpert_scores(data, recorded, prior, draws)
gains = summaries.paired_tests(scores, reference="training mean", seed=seed)

# %% mystnb={"figure": {"caption": "Gain in Pearson delta of LangPert, its controls and the graphs over the training mean, on the same 100 held-out genes per line, PerturbQA (real). Bars are 95 % bootstrap intervals over genes; blue intervals leave out 0.", "name": "fig-langpert-scores"}, "image": {"alt": "Gains over the training mean with intervals of seven predictors in K562 and RPE1. The graphs gain most, the name prefix rule second; LangPert with the small model and the first offered genes lie near 0, random offered genes a little above it, random training genes below it."}} tags=["needs-data", "hide-input"]
figures.paired_gains(gains, data.screen.name, data.screen.kind)

# %% tags=["needs-data", "hide-input"]
caption = (
    "LangPert, its controls and the graphs on held-out genes, PerturbQA (real), with 95 % bootstrap intervals over "
    "genes; one column counts genes that got the training mean."
)
tables.shown(summaries.scores(scores, seed=seed), caption)

# %% tags=["needs-data", "hide-input"]
caption = (
    "Gain in Pearson delta over the training mean, PerturbQA (real), paired over the same genes; two-sided Wilcoxon "
    "signed-rank tests, Holm-corrected within a line."
)
tables.shown(gains, caption)

# %% tags=["needs-data", "hide-input"]
caption = (
    "The graphs and LangPert's controls compared with LangPert itself, PerturbQA (real), paired over the same genes; "
    "tests as in the table before. A negative difference is a gain of LangPert."
)
rows = scores[scores["predictor"].str.contains("LangPert|genes|string")]
tables.shown(
    summaries.paired_tests(
        rows, reference=f"LangPert ({models[0]})", seed=seed
    ),
    caption,
)

# %% [markdown]
# What it means: candidates from the graphs' wider neighbourhood predict better than training genes at large, whoever picks from them.
# Compared with random training genes the model gains .024 [−.001, .049] in K562 (p = .024) and .021 [.007, .039] in RPE1 (p = .006), and random picks from the offered list score higher still (.533 and .610 against .500 and .599): the gain comes from the list.
# The model's own choice adds nothing that shows here: in K562 it scores below random picks, and in neither line differently from the first names of the alphabetical list.
# Keeping only the picks that an edge confirms does not lower the score, as the paper found for large models; the differences are +.008 [.001, .017] in K562 (p = .1) and +.012 [.006, .020] in RPE1 (p = .003).
# After the graphs, `name prefix` gains most.
# Symbols were given to genes by function, so gene symbols encode function, and a model that answers MRPL3, MRPL9 and MRPL11 for MRPL27 may have read no more than the name.

# %% [markdown]
# ### The rows without a model, in four lines
#
# **Claim.** In each of four lines the name rule recovers at least half of what the dated graphs gain over the training mean: .068 [.040, .099] of .129 [.097, .175] in K562, .050 [.027, .088] of .072 [.043, .113] in RPE1, .054 [.034, .082] of .076 [.049, .108] in HepG2 and .045 [.020, .080] of .086 [.056, .120] in Jurkat.
#
# Recorded answers exist for K562 and RPE1 only.
# What needs no model, graphs and names, is shown for every line, on 100 test genes each that the same rule selects; the graphs here are STRING of 2019 and GO of August 2021.

# %% tags=["needs-data"]
every_line = question_data(
    load_screen("perturbqa", graph_lines, graph), genes, limit, cut, seed
)
graph_rows = langpert.langpert_scores(every_line, {}, prior)
graph_gains = summaries.paired_tests(
    graph_rows, reference="training mean", seed=seed
)

# %% mystnb={"figure": {"caption": "Gain in Pearson delta of the graphs and of the name rule over the training mean, on 100 held-out genes per line, PerturbQA (real). Bars are 95 % bootstrap intervals over genes; blue intervals leave out 0; all panels have one range.", "name": "fig-langpert-four-lines"}, "image": {"alt": "Gains over the training mean with intervals of the graphs and of the name prefix rule, one panel for each of four cell lines; both lie right of zero and the graphs further."}} tags=["needs-data", "hide-input"]
atlas_shown = every_line.screen
figures.paired_gains(graph_gains, atlas_shown.name, atlas_shown.kind)

# %% tags=["needs-data", "hide-input"]
caption = (
    "The graphs and the name rule in four lines, gain in Pearson delta over the training mean, PerturbQA (real), paired "
    "over the same 100 genes; two-sided Wilcoxon signed-rank tests, Holm-corrected within a line."
)
tables.shown(graph_gains, caption)

# %% [markdown]
# ## Edits of a neighbourhood by an untrained model
#
# **Claim.** The small model's edits help in neither line; they change the mean score by −.010 [−.021, −.003] in K562 and −.002 [−.005, .001] in RPE1.
#
# This is the row `LLM + KG` of the paper's Table 1, which Gemini 2.5 Pro filled there: the model sees the graphs' neighbourhood, adds genes to it and removes others, and what is invalid is ignored.
# `random` rows make as many additions and removals as the model, blindly; `KG + name prefix` adds every training gene with the same prefix.

# %% tags=["needs-data"]
edited = langpert.edit_scores(data, recorded, prior, draws)
edit_gains = summaries.paired_tests(
    edited, reference=data.union.name, seed=seed
)

# %% mystnb={"figure": {"caption": "Gain in Pearson delta of edited neighbourhoods over the unedited union of STRING and GO, on the same 100 held-out genes per line, PerturbQA (real). Bars are 95 % bootstrap intervals over genes; blue intervals leave out 0.", "name": "fig-langpert-edits"}, "image": {"alt": "Gains over the unedited graphs with intervals of the training mean and four kinds of edited neighbourhoods in K562 and RPE1: the training mean lies far below, all edited rows lie close to 0."}} tags=["needs-data", "hide-input"]
figures.paired_gains(edit_gains, data.screen.name, data.screen.kind)

# %% tags=["needs-data", "hide-input"]
caption = (
    "Edits compared with the graphs' own neighbourhoods, Pearson delta, PerturbQA (real), paired over the same genes; "
    "two-sided Wilcoxon signed-rank tests, Holm-corrected within a line."
)
tables.shown(edit_gains, caption)

# %% [markdown]
# What it means: the small model's edits gain nothing.
# In K562 the interval of the loss excludes 0 ([−.021, −.003]) while the signed-rank test does not reject (p = .27): a few genes lose much and most lose nothing.
# Random edits of the same size change the score by −.006 to +.001.
# Adding every gene of the same name family changes the graphs' score by +.007 [−.005, .022] in K562 and −.005 [−.012, .000] in RPE1: beside the graphs, names add nothing that shows here.

# %% [markdown] tags=["dense"]
# ## The same where all effects are measured
#
# In expression every readout gene is measured, so the prior is 0: the paper's plain mean.

# %% [markdown] tags=["simulated"]
# **Claim.** On a simulated line the simulation's own graphs gain (+.095 [.067, .118]), the small model's picks fall behind the training mean (−.046 [−.072, −.022]) as random picks do, and its edits do not change the graphs' score measurably (+.002 [−.004, .018], p = .45).
#
# The simulated K562 line has real gene names, and its hierarchy comes from real complexes and pathways; its numbers are simulated ([chapter 1](01_causal_model.ipynb)).
# Its two graphs, which the questions about it were asked with, are the simulation's own, incomplete and partly false.

# %% tags=["dense", "hide-input"]
expression = ceilings.screens(atlas, lines[:1], seed=seed)[0]
where = expression.atlas.label
measured = question_data(expression, genes, limit, cut, seed)
answers = langpert.read(measured, models, record)
tables.shown(
    langpert.counts(answers),
    f"How the answers turned out, {where}, up to {genes} test genes.",
    digits=1,
)

# %% tags=["dense", "hide-input"]
expression_scores = langpert.langpert_scores(measured, answers, None, draws)
caption = f"LangPert, its controls and the graphs on held-out genes, {where}, with 95 % bootstrap intervals over genes."
tables.shown(summaries.scores(expression_scores, seed=seed), caption)

# %% tags=["dense", "hide-input"]
caption = (
    f"Gain in Pearson delta over the training mean, {where}, paired over the same genes; two-sided Wilcoxon "
    "signed-rank tests, Holm-corrected."
)
tables.shown(
    summaries.paired_tests(
        expression_scores, reference="training mean", seed=seed
    ),
    caption,
)

# %% tags=["dense", "hide-input"]
expression_edits = langpert.edit_scores(measured, answers, None, draws)
caption = f"Edited neighbourhoods on held-out genes, {where}, with 95 % bootstrap intervals over genes."
tables.shown(summaries.scores(expression_edits, seed=seed), caption)

# %% tags=["dense", "hide-input"]
union = build("union", expression).name
caption = (
    f"Edits compared with the graphs' own neighbourhoods, Pearson delta, {where}, paired over the same genes; "
    "two-sided Wilcoxon signed-rank tests, Holm-corrected."
)
tables.shown(
    summaries.paired_tests(expression_edits, reference=union, seed=seed),
    caption,
)

# %% [markdown] tags=["simulated"]
# What it means: with every readout gene measured and no prior, a mean over three or four genes contains their noise and their own effects, so that a set has to be well chosen to beat the mean of all.
# {term}`Centred Pearson <centred Pearson>` delta shows that picks from the offered list say something about the gene (.222 [.164, .276]); random picks from the same list say about as much (.199 [.153, .244]).
# The name rule gains less here than on real calls (+.017 [−.014, .044]), though its centred score is about the same.

# %% [markdown]
# ## Published scores of larger models
#
# What a large model reaches on these calls was not measured here.
# The table quotes the paper's Table 1 {cite:p}`fawkes2026`: its data are expression changes of all readout genes and not calls, and other genes are held out, so these numbers and ours cannot be compared.
# `LLM RL + KG` is a model that was trained with rewards to edit neighbourhoods; TxPert learns from graphs and deltas {cite:p}`wenkel2025`.
# The re-reported figures stand in another preprint, [arXiv 2602.18885](https://arxiv.org/abs/2602.18885).

# %% tags=["hide-input"]
caption = "Quoted, not measured here: mean scores (standard error where it is given), expression data."
tables.shown(published.table(), caption)

# %% [markdown]
# ## Ask another model
#
# - `kgpert serve` serves the small model.
#   A larger one on a GPU is served by its own program: `vllm serve Qwen/Qwen3-4B-Instruct-2507` answers at `http://127.0.0.1:8000/v1`, where `kgpert record --model qwen3-4b --graph string-v12+go-2022` asks it the questions of this page about real genes, and `kgpert record --model qwen3-4b --atlas simulated --line k562` those about simulated ones; both write down every answer and add them to `data/answers/` (`--base-url` names another address, `-o` another folder).
# - `kgpert record --model gemini-2-5-pro --graph string-v12+go-2022 --budget 5` stops before five dollars are spent; the key stays in the environment.
# - `make book CHAPTERS=03 SET="models=[smollm2,qwen3-4b]"` then shows both side by side, each beside random sets of its own sizes.
