"""Numbers and sizes of records, against records that were really written."""

import pytest

from bert_tf.planning.records import estimate_examples
from bert_tf.settings import PlanningSettings


def estimate(max_seq_length=128, max_predictions=20, vocab_size=30522, **values):
    text = {"corpus_words": 1e6, "tokens_per_word": 1.0, "tokens_per_document": 950.0}
    settings = PlanningSettings(**{**text, "dupe_factor": 1, **values})
    return estimate_examples(settings, max_seq_length, max_predictions, vocab_size)


def test_records_are_as_many_as_the_text_is_long_and_copied():
    once, copies = estimate(), estimate(corpus_words=2e6, dupe_factor=10)
    assert copies.number == pytest.approx(20 * once.number)
    assert copies.bytes_each == once.bytes_each
    assert copies.total_bytes == copies.number * copies.bytes_each


def test_ids_of_a_small_vocabulary_take_a_byte_each():
    small, large = estimate(vocab_size=97), estimate()
    ids = small.mean_tokens * 1.15
    assert large.bytes_each - small.bytes_each == pytest.approx(0.89 * ids, rel=0.05)


def test_short_documents_become_more_and_emptier_examples():
    short = estimate(512, 77, tokens_per_document=200.0)
    long = estimate(512, 77, tokens_per_document=20_000.0)
    assert short.number > long.number
    assert short.mean_tokens < long.mean_tokens


@pytest.mark.data
@pytest.mark.parametrize(("length", "masked"), [(128, 20), (512, 77)])
@pytest.mark.parametrize("masking", ["static", "dynamic"])
def test_a_corpus_becomes_what_is_estimated(length, masked, masking, data_dir, tmp_path):
    from bert_tf.data.manifest import read_manifest
    from bert_tf.pretraining_data.program import create_pretraining_data
    from bert_tf.settings import PretrainingDataSettings

    create_pretraining_data(
        PretrainingDataSettings(
            input_file=(str(data_dir / "text" / "novels_eval.txt.gz"),),
            vocab_file=str(data_dir / "vocab" / "bert_base_uncased.txt"),
            output_dir=str(tmp_path),
            max_seq_length=length,
            max_predictions_per_seq=masked,
            masking=masking,
            dupe_factor=1,
        )
    )
    (written,) = read_manifest(str(tmp_path))["runs"][0]["files"]
    # What the report says of this text: 988,565 tokens in 1,044 documents.
    text = {"corpus_words": 988_565.0, "tokens_per_document": 988_565 / 1_044}
    estimated = estimate(length, masked, masking=masking, **text)
    assert estimated.number == pytest.approx(written["examples"], rel=0.1)
    assert estimated.mean_tokens == pytest.approx(written["tokens"] / written["examples"], rel=0.1)
    assert estimated.total_bytes == pytest.approx(written["bytes"], rel=0.1)
