import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.rl.tasks import Settings
from kgpert_lib.rl.traces import ScoredAnswers, read_traces
from tests.rl import traces

SETTINGS = Settings(atlas="simulated", lines=("k562",), evaluated_lines=("k562",))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Three scored answers and one that failed, as a run's folder."""
    return traces.write(tmp_path_factory.mktemp("run"), SETTINGS)


def test_rewards_judged_again_are_those_recorded(run):
    (scored,) = read_traces(run)
    assert scored.settings == SETTINGS
    assert [a.text for a in scored.answers] == ['{"add": [], "remove": []}', "nothing", None]
    assert scored.differences().tolist() == [0.0, 0.0, 0.0]
    assert scored.answers[0].tokens == 7
    assert scored.table()["format"].tolist() == [1.0, 0.0, 0.0]


def test_a_reward_that_was_changed_is_seen(run, tmp_path):
    text = (run / "traces.jsonl").read_text().replace('"score": 0.25', '"score": 0.75', 1)
    (tmp_path / "traces.jsonl").write_text(text)
    assert read_traces(tmp_path)[0].differences()[0] == pytest.approx(-0.5)


def test_what_is_kept_is_read_back_and_holds_no_prompt(run, tmp_path):
    (scored,) = read_traces(run)
    scored.save(tmp_path / "kept.jsonl")
    assert ScoredAnswers.load(tmp_path / "kept.jsonl") == scored
    assert "?" not in (tmp_path / "kept.jsonl").read_text()


def test_a_last_line_cut_short_is_left_out(run, tmp_path):
    text = (run / "traces.jsonl").read_text()
    (tmp_path / "traces.jsonl").write_text(text + '{"traces": [{"task"')
    assert len(read_traces(tmp_path)[0].answers) == 3


def test_kept_answers_that_were_cut_off_are_an_error(run, tmp_path):
    read_traces(run)[0].save(tmp_path / "kept.jsonl")
    whole = (tmp_path / "kept.jsonl").read_text()
    (tmp_path / "kept.jsonl").write_text(whole[:-20])
    with pytest.raises(InputError, match="line 4 is no JSON"):
        ScoredAnswers.load(tmp_path / "kept.jsonl")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"traces": [{}]}\n', "line 1 is no trace of kgpert"),
        ("nonsense\n{}\n", "line 1 is no JSON"),
        ("[]\n{}\n", "line 1 is no JSON object"),
    ],
)
def test_another_file_is_named_with_its_line(tmp_path, text, problem):
    (tmp_path / "traces.jsonl").write_text(text)
    with pytest.raises(InputError, match=problem):
        read_traces(tmp_path)
    with pytest.raises(InputError, match=r"line 1"):
        ScoredAnswers.load(tmp_path / "traces.jsonl")


def test_a_folder_without_traces_is_named(tmp_path):
    with pytest.raises(InputError, match=r"holds no traces\.jsonl"):
        read_traces(tmp_path)
