"""PretrainingDataSettings: what is refused, and what is worked out from what was given."""

import dataclasses
import json
from pathlib import Path

import pytest

from bert_tf.settings import CorpusSettings, PretrainingDataSettings


def make(**values):
    return PretrainingDataSettings(
        **{"input_file": "text", "vocab_file": "vocab", "output_file": "records", **values}
    )


def test_the_defaults_are_the_original_releases():
    settings = make()
    assert settings.do_lower_case is True
    assert settings.do_whole_word_mask is False
    assert settings.max_seq_length == 128
    assert settings.max_predictions_per_seq == 20
    assert settings.random_seed == 12345
    assert settings.dupe_factor == 10
    assert settings.masked_lm_prob == 0.15
    assert settings.short_seq_prob == 0.1


def test_texts_are_taken_apart_at_commas_and_lists_are_taken_as_they_are():
    settings = make(input_file="a*.txt,b.txt", output_file=["c", "d,e"])
    assert settings.input_file == ("a*.txt", "b.txt")
    assert settings.output_file == ("c", "d,e")
    settings = CorpusSettings(input_file=Path("a.txt"), output_dir="d")
    assert settings.inputs_by_language() == [("", "a.txt")]


def test_settings_are_the_same_after_json():
    settings = make(masking="dynamic", output_file=(), output_dir="d", num_shards=3)
    values = json.loads(json.dumps(dataclasses.asdict(settings)))
    assert PretrainingDataSettings(**values) == settings


def test_without_a_dupe_factor_unmasked_pairs_are_made_once():
    assert make(masking="dynamic").dupe_factor == 1
    assert make(masking="dynamic", dupe_factor=10).dupe_factor == 10
    assert make(dupe_factor=1).dupe_factor == 1


def test_spans_are_of_whole_words_and_there_are_no_short_segments():
    settings = make(do_span_mask=True, next_sentence=False)
    assert settings.do_whole_word_mask is True
    assert settings.short_seq_prob == 0.0
    assert make(do_span_mask=True, next_sentence=False, short_seq_prob=0.2).short_seq_prob == 0.2
    values = json.loads(json.dumps(dataclasses.asdict(settings)))
    assert PretrainingDataSettings(**values) == settings


BAD = [
    ({"do_span_mask": True}, "--do_span_mask .* give --next_sentence=false"),
    ({"span_geometric_p": 0.3}, "--span_geometric_p needs --do_span_mask.*span_geometric_p=0.3"),
    ({"max_span_words": 5}, "--max_span_words needs --do_span_mask.*Received: --max_span_words=5"),
    ({"max_span_words": 0}, "max_span_words .* of at least 1. Received: 0"),
    ({"span_geometric_p": 0.0}, r"span_geometric_p .*\(0, 1\]. Received: 0.0"),
    ({"max_seq_length": 4}, "max_seq_length .* of at least 5. Received: 4"),
    ({"max_seq_length": 128.0}, "max_seq_length .* Received: 128.0"),
    ({"max_predictions_per_seq": 0}, "max_predictions_per_seq .* of at least 1. Received: 0"),
    ({"dupe_factor": 0}, "dupe_factor .* Received: 0"),
    ({"dupe_factor": True}, "dupe_factor .* Received: True"),
    ({"num_shards": 0}, "num_shards .* Received: 0"),
    ({"num_workers": -1}, "num_workers .* Received: -1"),
    ({"random_seed": 1.5}, "random_seed .* Received: 1.5"),
    ({"masked_lm_prob": 0.0}, r"masked_lm_prob .*\(0, 1\). Received: 0.0"),
    ({"masked_lm_prob": 1.0}, "masked_lm_prob .* Received: 1.0"),
    ({"masked_lm_prob": float("nan")}, "masked_lm_prob .* Received: nan"),
    ({"masked_lm_prob": "0.15"}, "masked_lm_prob .* Received: '0.15'"),
    ({"short_seq_prob": -0.1}, "short_seq_prob .* Received: -0.1"),
    ({"masking": "random"}, "masking must be one of 'static', 'dynamic'. Received: 'random'"),
    ({"input_file": ""}, "--input_file and --vocab_file are needed"),
    ({"vocab_file": ""}, "--input_file and --vocab_file are needed"),
    ({"output_file": ()}, "either --output_file or --output_dir"),
    ({"output_dir": "d"}, "either --output_file or --output_dir"),
    ({"output_file": "a,b,a"}, "names a file twice"),
    ({"output_file": "a.tfrecord,./a.tfrecord"}, "names a file twice"),
    ({"output_file": "gs://b/a,gs://b/c,gs://b/a"}, "names a file twice"),
    ({"output_file": "a,"}, "none between two commas"),
    ({"num_shards": 2}, "need --output_dir"),
    ({"num_workers": 2}, "need --output_dir"),
    ({"mask_smoothing": 0.7}, "needs --masking=dynamic.*Received: --masking=static"),
    (
        {"mask_smoothing": 0.7, "masking": "dynamic", "do_whole_word_mask": True},
        "neither --do_whole_word_mask nor --do_span_mask.*--do_whole_word_mask=True",
    ),
    ({"mask_smoothing": -1.0, "masking": "dynamic"}, r"mask_smoothing .*\[0, inf\)"),
]


@pytest.mark.parametrize(("values", "message"), BAD)
def test_what_no_records_can_be_made_with_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        make(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"max_seq_length": 5, "max_predictions_per_seq": 1},
        {"max_predictions_per_seq": 500},
        {"short_seq_prob": 0.0},
        {"short_seq_prob": 1},
        {"random_seed": -(2**70)},
    ],
)
def test_values_at_the_limits_are_taken(values):
    make(**values)
