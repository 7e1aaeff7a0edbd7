"""Records: what the fast encoder writes is what the schema's plain one does."""

import random

import pytest
from toy_tokenizers import VocabularyTokenizer

from bert_tf.data.schema import (
    encode_example,
    parse_examples,
    pretraining_features,
    unmasked_pretraining_features,
)
from bert_tf.pretraining_data.examples import Instance
from bert_tf.pretraining_data.records import RecordEncoder
from bert_tf.settings import PretrainingDataSettings


def make_tokenizer(size):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += [f"##piece{n}" if n % 3 == 0 else f"word{n}" for n in range(5, size)]
    return VocabularyTokenizer({token: index for index, token in enumerate(tokens)})


def serialized(encoder, instance):
    """The instance with what stands for its ids."""
    token_of = encoder.token_of
    return instance._replace(
        tokens=[token_of[index] for index in instance.tokens],
        labels=[token_of[index] for index in instance.labels],
    )


def finish(encoder, instance):
    return encoder.finish(encoder.begin(serialized(encoder, instance)))


def settings(**values):
    return PretrainingDataSettings("text", "vocab", "records", **values)


def random_instance(rng, vocab_size, max_seq_length, max_predictions):
    num_tokens = rng.randint(5, max_seq_length)
    num_tokens_a = rng.randint(1, num_tokens - 4)
    ids = [rng.randrange(vocab_size) for _ in range(num_tokens)]
    count = rng.randint(0, min(max_predictions, num_tokens))
    positions = sorted(rng.sample(range(num_tokens), count))
    labels = [rng.randrange(vocab_size) for _ in positions]
    return Instance(ids, num_tokens_a, rng.random() < 0.5, positions, labels)


def padded(values, size):
    return [*values, *[0] * (size - len(values))]


@pytest.mark.parametrize(
    ("vocab_size", "max_seq_length", "max_predictions"),
    [(20, 5, 1), (200, 16, 40), (30522, 128, 20), (20000, 512, 80), (120000, 20000, 3000)],
)
def test_a_masked_record_has_the_bytes_of_the_plain_encoder(
    vocab_size, max_seq_length, max_predictions
):
    encoder = RecordEncoder(
        settings(max_seq_length=max_seq_length, max_predictions_per_seq=max_predictions),
        make_tokenizer(vocab_size),
    )
    rng = random.Random(vocab_size)
    for _ in range(3 if max_seq_length > 1000 else 100):
        instance = random_instance(rng, vocab_size, max_seq_length, max_predictions)
        num_tokens, num_masked = len(instance.tokens), len(instance.positions)
        segments = [0] * (instance.num_tokens_a + 2)
        segments += [1] * (num_tokens - len(segments))
        expected = encode_example(
            {
                "input_ids": padded(instance.tokens, max_seq_length),
                "input_mask": padded([1] * num_tokens, max_seq_length),
                "segment_ids": padded(segments, max_seq_length),
                "masked_lm_positions": padded(instance.positions, max_predictions),
                "masked_lm_ids": padded(instance.labels, max_predictions),
                "masked_lm_weights": [1.0] * num_masked + [0.0] * (max_predictions - num_masked),
                "next_sentence_labels": [int(instance.is_random_next)],
            }
        )
        assert finish(encoder, instance) == (expected, num_tokens)


def test_an_unmasked_record_has_word_ids_instead_of_masks():
    encoder = RecordEncoder(settings(max_seq_length=10, masking="dynamic"), make_tokenizer(20))
    instance = Instance([2, 5, 6, 7, 3, 9, 10, 3], 3, True, word_ids=[0, 1, 1, 2, 0, 3, 4, 0])
    assert finish(encoder, instance) == (
        encode_example(
            {
                "input_ids": padded(instance.tokens, 10),
                "input_mask": [1] * 8 + [0] * 2,
                "segment_ids": [0] * 5 + [1] * 3 + [0] * 2,
                "word_ids": padded(instance.word_ids, 10),
                "next_sentence_labels": [1],
            }
        ),
        8,
    )


def test_a_record_waits_in_two_bytes_a_token():
    encoder = RecordEncoder(settings(), make_tokenizer(16000))
    instance = Instance([15999] * 128, 60, True, list(range(20)), [15999] * 20)
    assert len(encoder.begin(serialized(encoder, instance))) == 21 + 2 * 128 + 2 * 20 + 20


def test_records_are_parsed_by_the_features_of_the_schema():
    tokenizer = make_tokenizer(300)
    rng = random.Random(0)
    masked = RecordEncoder(settings(max_seq_length=16, max_predictions_per_seq=4), tokenizer)
    unmasked = RecordEncoder(settings(max_seq_length=16, masking="dynamic"), tokenizer)
    instance = random_instance(rng, 300, 16, 4)
    instance = instance._replace(word_ids=[0] * len(instance.tokens))
    (record, _), (other, _) = (finish(encoder, instance) for encoder in (masked, unmasked))
    batch = parse_examples([record] * 3, pretraining_features(16, 4))
    assert batch["input_ids"].numpy().tolist() == [padded(instance.tokens, 16)] * 3
    assert batch["masked_lm_weights"].numpy()[0].sum() == len(instance.positions)
    batch = parse_examples([other] * 3, unmasked_pretraining_features(16))
    assert batch["word_ids"].shape == (3, 16)
