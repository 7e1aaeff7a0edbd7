"""--phases: what it may look like, what a phase's own settings become, and what is refused."""

import json

import pytest

from bert_tf.settings import PretrainingSettings
from bert_tf.settings.phases import Phase, parse_eval_files, parse_phases

PAPER = "seq128:900000:gs://b/128/*.tfrecord,seq512:100000:gs://b/512/*.tfrecord"


def make(**values):
    defaults = {
        "bert_config_file": "config.json",
        "output_dir": "out",
        "do_train": True,
        "phases": PAPER,
        "train_batch_size": 256,
        "learning_rate": 1e-4,
    }
    return PretrainingSettings(**{**defaults, **values})


def test_the_papers_run_is_two_phases_of_a_million_steps_in_all():
    first, second = parse_phases(PAPER)
    assert (first.max_seq_length, first.num_steps) == (128, 900_000)
    assert second == Phase(512, 100_000, ("gs://b/512/*.tfrecord",))
    assert make().num_steps == make(num_train_steps=1_000_000).num_steps == 1_000_000


def test_a_phase_may_have_several_files_and_say_how_many_tokens_are_hidden():
    phases = parse_phases("seq64pred9:10:a/*.tf,seq_b/c,seq32:5:d")
    assert [(p.input_file, p.max_predictions_per_seq) for p in phases] == [
        (("a/*.tf", "seq_b/c"), 9),
        (("d",), None),
    ]


def test_each_phase_becomes_the_settings_of_a_run_with_one_schedule_over_all_steps():
    held_out = ("seq512:e512/*.tf", "e512b", "seq128:e128/*.tf")
    (steps, first), (_, second) = make(eval_file=held_out).by_phase()
    assert steps == 900_000
    assert (first.max_seq_length, first.num_train_steps) == (128, 1_000_000)
    assert (second.max_predictions_per_seq, second.input_file) == (77, ("gs://b/512/*.tfrecord",))
    assert first.eval_file == ("e128/*.tf",)
    assert second.eval_file == ("e512/*.tf", "e512b")
    assert not first.phases


def test_a_phase_that_does_not_say_how_many_are_hidden_takes_the_flag_if_there_is_one():
    (_, first), (_, second) = make(max_predictions_per_seq=40).by_phase()
    assert (first.max_predictions_per_seq, second.max_predictions_per_seq) == (40, 40)
    (_, first), (_, second) = make().by_phase()
    assert (first.max_predictions_per_seq, second.max_predictions_per_seq) == (20, 77)


def test_a_length_beside_the_phases_that_none_of_them_has_is_refused():
    with pytest.raises(ValueError, match="says the lengths"):
        make(max_seq_length=64)


def test_without_phases_a_run_is_its_own_only_phase():
    settings = make(phases="", input_file=("a",), num_train_steps=7, num_warmup_steps=1)
    assert settings.by_phase() == ((7, settings),)
    assert settings.num_steps == 7


def test_evaluation_files_without_a_length_are_for_all():
    assert parse_eval_files(("a", "b", "seq16:c", "d")) == {None: ("a", "b"), 16: ("c", "d")}


def write_phases(folder, *phases):
    (folder / "phases.json").write_text(json.dumps(phases))
    return str(folder / "phases.json")


def test_a_file_gives_each_phase_what_is_its_own(tmp_path):
    path = write_phases(
        tmp_path,
        {
            "max_seq_length": 128,
            "num_steps": 7506,
            "input_file": "a,b",
            "eval_file": ["e"],
            "train_batch_size": 61440,
            "gradient_accumulation_steps": 128,
            "learning_rate": 6e-3,
            "num_warmup_steps": 2133,
        },
        {
            "max_seq_length": 512,
            "num_steps": 1668,
            "input_file": "c",
            "max_predictions_per_seq": 80,
            "num_warmup_steps": 213,
        },
    )
    (_, first), (steps, second) = make(phases=path, phase_schedule="each").by_phase()
    assert (first.train_batch_size, first.gradient_accumulation_steps) == (61440, 128)
    assert (first.learning_rate, first.num_warmup_steps, first.num_train_steps) == (
        *(6e-3, 2133),
        7506,
    )
    assert (first.input_file, first.eval_file) == (("a", "b"), ("e",))
    assert (second.train_batch_size, second.learning_rate) == (256, 1e-4)
    assert (steps, second.max_predictions_per_seq) == (1668, 80)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"phases": "seq128:900000"}, "--phases, .* of 128 tokens: --input_file is needed"),
        ({"phases": "seq128:9:a,seq512:x:b"}, "--phases: .*seq512:x:b': a phase is seqLENGTH"),
        ({"phases": "128:9:a"}, "'128:9:a': a phase is seqLENGTH:STEPS:FILES"),
        ({"phases": "seq128:9:"}, "the phase of 128 tokens: --input_file is needed"),
        ({"phases": "seq128:9:a,sec512:9:b"}, "sec512:9:b': a phase is seqLENGTH"),
        ({"phases": "seq128:9:a,b,:512:9:b"}, ":512:9:b': a phase is seqLENGTH"),
        ({"phases": "seq128:0:a"}, "'seq128:0:a': --num_steps must be a whole number"),
        ({"phases": "seq0:9:a"}, "--max_seq_length must be a whole number of at least 1"),
        (
            {"num_train_steps": 999_999},
            r"900000 \+ 100000 = 1000000, which --num_train_steps must be too.*Received: 999999",
        ),
        ({"input_file": ("a",)}, "in --phases or in --input_file. Received both"),
        ({"num_warmup_steps": 2_000_000}, "warm-up is longer than the training"),
        (
            {"phase_schedule": "each", "num_warmup_steps": 200_000},
            "num_warmup_steps=200000 and 100000 training steps",
        ),
        ({"phase_schedule": "both"}, "--phase_schedule must be one of"),
        ({"eval_file": ("seq64:a",)}, "names files of 64 tokens, but the phases have 128, 512"),
        ({"phases": ""}, "--input_file is needed"),
        ({"phases": "seq8pred9:5:a"}, "from 1 to 8 of 8 tokens can be masked. Received: seq8pred9"),
        ({"phases": "seq٣:5:a"}, "a phase is seqLENGTH"),
        ({"phases": "seq8:5:a,"}, "'seq8:5:a,': a file without a name: is there a comma too many"),
        (
            {"eval_file": ("seq512:a",), "eval_steps": 5},
            "--eval_file has nothing for the phase of 128 tokens.*Add seq128:FILES",
        ),
    ],
    ids=str,
)
def test_what_no_run_can_have_is_refused_by_name(values, message):
    with pytest.raises(ValueError, match=message):
        make(**values)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"max_seq_length": 8, "num_steps": 1}, "phase of 8 tokens: --input_file is needed"),
        (
            {"max_seq_length": 8, "num_steps": 1, "input_file": "a", "lr": 1},
            "phase 1: 'lr' is unknown",
        ),
        ({"max_seq_length": 8, "num_steps": "1", "input_file": "a"}, "phase 1: --num_steps must"),
        ({"max_seq_length": 8, "num_steps": 1, "input_file": ""}, "phase 1: a file without a name"),
        (
            {"max_seq_length": 8, "num_steps": 1, "input_file": "a", "learning_rate": -1.0},
            "phase 1: --learning_rate must be a number",
        ),
        (
            {"max_seq_length": 8, "num_steps": 1, "input_file": "a", "learning_rate": 1.0},
            "only with --phase_schedule=each. Received: the phase of 8 tokens",
        ),
        ("seq8:1:a", "phase 1: a phase is an object"),
        ({"max_seq_length": 8, "num_steps": 1, "input_file": 5}, "phase 1: input_file is a path"),
        ({"max_seq_length": 8, "num_steps": 1, "input_file": [1]}, "phase 1: input_file is a path"),
        (
            {"max_seq_length": 8, "num_steps": 1, "input_file": "a", "eval_file": None},
            "phase 1: eval_file is a path",
        ),
        (
            {
                "max_seq_length": 8,
                "num_steps": 1,
                "input_file": "a",
                "train_batch_size": 7,
                "gradient_accumulation_steps": 2,
            },
            "phase of 8 tokens: .*7",
        ),
    ],
    ids=str,
)
def test_a_file_is_refused_with_the_phase_and_what_it_may_have(tmp_path, item, message):
    with pytest.raises(ValueError, match=message):
        make(phases=write_phases(tmp_path, item), num_warmup_steps=0)


def test_a_file_that_is_no_list_is_refused(tmp_path):
    (tmp_path / "phases.json").write_text("{}")
    with pytest.raises(ValueError, match=r"phases\.json: it must hold a list of phases"):
        make(phases=str(tmp_path / "phases.json"))
