"""Sentence pairs: the original's algorithm, written a second time, gives the same, always."""

import random

import pytest
from toy_tokenizers import VocabularyTokenizer

from bert_tf.pretraining_data.documents import Documents
from bert_tf.pretraining_data.examples import Instance, InstanceMaker
from bert_tf.settings import PretrainingDataSettings

TOKENS = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TOKENS += [f"word{number}" for number in range(40)] + [f"##piece{number}" for number in range(40)]
VOCAB = {token: index for index, token in enumerate(TOKENS)}
TOKENIZER = VocabularyTokenizer(VOCAB)


def random_lines(rng, num_documents, max_sentences=8, max_length=30):
    """Documents of random tokens, as lines of them."""
    lines = []
    for _ in range(num_documents):
        for _ in range(rng.randint(1, max_sentences)):
            lines.append(" ".join(rng.choices(TOKENS[6:], k=rng.randint(1, max_length))))
        lines.append("")
    return lines


def settings(**values):
    return PretrainingDataSettings("text", "vocab", "records", **values)


def documents_of(lines):
    return Documents(
        [line.strip() for line in lines], lambda line: [VOCAB[token] for token in line.split()]
    )


def make(lines, seed=12345, **values):
    """Our instances of `lines`."""
    maker = InstanceMaker(settings(**values), TOKENIZER, range(len(TOKENS)))
    rng = random.Random(seed)
    instances = list(maker.make(documents_of(lines), rng, lambda: None))
    rng.shuffle(instances)
    return instances


def make_straightforwardly(module, lines, seed=12345, **values):
    """The same, by the algorithm as it was published."""
    values = settings(**values)
    rng = random.Random(seed)
    documents = module.split_into_documents(lines, str.split)
    rng.shuffle(documents)
    instances = []
    for _ in range(values.dupe_factor):
        for number in range(len(documents)):
            for pair in module.pairs_of(
                documents, number, values.max_seq_length, values.short_seq_prob, rng
            ):
                hidden = module.hide(
                    pair["tokens"],
                    values.max_predictions_per_seq,
                    values.masked_lm_prob,
                    values.do_whole_word_mask,
                    list(VOCAB),
                    rng,
                )
                instance = Instance(
                    [VOCAB[token] for token in hidden["shown"]],
                    pair["segments"].count(0) - 2,
                    bool(pair["label"]),
                    hidden["places"],
                    [VOCAB[token] for token in hidden["answers"]],
                )
                instances.append(instance)
    rng.shuffle(instances)
    return instances


@pytest.mark.parametrize("do_whole_word_mask", [False, True])
@pytest.mark.parametrize("max_seq_length", [5, 6, 16, 64, 300])
@pytest.mark.parametrize("num_documents", [1, 2, 3, 12])
def test_instances_are_the_originals(
    straightforward, do_whole_word_mask, max_seq_length, num_documents
):
    module = straightforward("pretraining_data")
    for seed in range(4):
        rng = random.Random(100 * num_documents + seed)
        lines = random_lines(rng, num_documents)
        values = {
            "do_whole_word_mask": do_whole_word_mask,
            "max_seq_length": max_seq_length,
            "max_predictions_per_seq": rng.choice([1, 3, 20]),
            "dupe_factor": rng.choice([1, 2, 5]),
            "masked_lm_prob": rng.choice([0.01, 0.15, 0.9]),
            "short_seq_prob": rng.choice([0.0, 0.1, 1.0]),
        }
        expected = make_straightforwardly(module, lines, seed, **values)
        assert make(lines, seed, **values) == expected


def test_a_document_of_one_sentence_gets_a_random_next_one():
    lines = ["word1 word2", "", "word3 word4", ""]
    instances = make(lines, dupe_factor=1)
    assert len(instances) == 2
    assert all(instance.is_random_next for instance in instances)


def test_a_corpus_of_one_sentence_is_paired_with_itself_as_in_the_original(straightforward):
    instances = make(["word1 word2"], dupe_factor=3)
    assert instances == make_straightforwardly(
        straightforward("pretraining_data"), ["word1 word2"], dupe_factor=3
    )
    assert [instance.is_random_next for instance in instances] == [True] * 3


def unmasked(instance):
    """The tokens of a pair before some were hidden: A and B as texts."""
    ids = list(instance.tokens)
    for place, label in zip(instance.positions, instance.labels, strict=True):
        ids[place] = label
    tokens = [TOKENS[index] for index in ids]
    assert tokens[0] == "[CLS]"
    assert tokens[instance.num_tokens_a + 1] == tokens[-1] == "[SEP]"
    return (
        " ".join(tokens[1 : instance.num_tokens_a + 1]),
        " ".join(tokens[instance.num_tokens_a + 2 : -1]),
    )


def distinct_lines(num_documents, num_sentences):
    """Documents in which a token's number says where it stood: `word7` follows `word6`."""
    words = iter(f"word{number}" for number in range(40))
    lines = []
    for _ in range(num_documents):
        lines += [f"{next(words)} {next(words)}" for _ in range(num_sentences)] + [""]
    return lines


def number_of(token):
    return int(token.removeprefix("word"))


def test_b_follows_a_where_the_label_says_so_and_else_is_of_another_document():
    lines = distinct_lines(num_documents=4, num_sentences=5)
    labels = []
    for instance in make(lines, dupe_factor=50, max_seq_length=40):
        text_a, text_b = unmasked(instance)
        last_a, first_b = number_of(text_a.split()[-1]), number_of(text_b.split()[0])
        labels.append(instance.is_random_next)
        if instance.is_random_next:
            assert first_b // 10 != last_a // 10
        else:
            assert first_b == last_a + 1
    assert 0.4 < sum(labels) / len(labels) < 0.7


def test_every_sentence_is_used_as_a_or_as_a_true_next_in_every_pass():
    lines = distinct_lines(num_documents=4, num_sentences=5)
    used = set()
    for instance in make(lines, dupe_factor=1, max_seq_length=60):
        text_a, text_b = unmasked(instance)
        used.update(text_a.split())
        if not instance.is_random_next:
            used.update(text_b.split())
    assert len(used) == 40


def test_no_pair_is_longer_than_allowed_and_both_sides_hold_something():
    lines = random_lines(random.Random(1), 20, max_length=60)
    for max_seq_length in (5, 7, 20):
        for instance in make(lines, max_seq_length=max_seq_length, dupe_factor=2):
            assert len(instance.tokens) <= max_seq_length
            assert 1 <= instance.num_tokens_a <= len(instance.tokens) - 4


def test_the_same_seed_gives_the_same_and_another_seed_something_else():
    lines = random_lines(random.Random(1), 5)
    assert make(lines, seed=1) == make(lines, seed=1)
    assert make(lines, seed=1) != make(lines, seed=2)


def test_dynamic_masking_hides_nothing_yet():
    instances = make(random_lines(random.Random(1), 5), masking="dynamic")
    assert instances
    for instance in instances:
        assert VOCAB["[MASK]"] not in instance.tokens
        assert not instance.positions
        assert not instance.labels


def test_mended_the_only_document_of_a_corpus_gives_true_next_sentences_only():
    lines = distinct_lines(num_documents=1, num_sentences=20)
    labels = []
    for instance in make(lines, dupe_factor=20, max_seq_length=12):
        labels.append(instance.is_random_next)
    assert any(labels)  # As ever.
    for instance in make(lines, dupe_factor=20, max_seq_length=12, mend_quirks=True):
        text_a, text_b = unmasked(instance)
        assert not instance.is_random_next
        gap = number_of(text_b.split()[0]) - number_of(text_a.split()[-1])
        assert 1 <= gap <= 3  # More than 1 where truncation took tokens at the seam.


def test_mended_a_long_sentence_of_the_only_document_is_parted_in_two():
    line = " ".join(f"word{number}" for number in range(9))
    instances = make([line], dupe_factor=30, mend_quirks=True, masked_lm_prob=0.01)
    assert len(instances) == 30
    for instance in instances:
        assert " ".join(unmasked(instance)) == line
        assert not instance.is_random_next
    assert len({instance.num_tokens_a for instance in instances}) > 3


def test_mended_a_single_token_is_no_pair():
    assert make(["word1"], mend_quirks=True) == []


def test_mended_a_random_next_is_never_of_the_same_document():
    # Of two documents the original takes the wrong one once in 1,024 times.
    lines = distinct_lines(num_documents=2, num_sentences=1)
    own = {False: 0, True: 0}
    for mend_quirks in own:
        for instance in make(lines, dupe_factor=4000, mend_quirks=mend_quirks):
            text_a, text_b = unmasked(instance)
            own[mend_quirks] += text_a == text_b
    assert own[False] > 0
    assert own[True] == 0


def test_mended_random_tokens_are_ordinary_ones():
    lines = random_lines(random.Random(1), 30)
    special = {index for token, index in VOCAB.items() if token.startswith("[")}
    for mend_quirks in (False, True):
        drawn = set()
        for instance in make(lines, mend_quirks=mend_quirks):
            drawn.update(instance.tokens[place] for place in instance.positions)
        drawn.discard(VOCAB["[MASK]"])
        assert bool(drawn & special) == (not mend_quirks)


def test_mended_a_piece_after_sep_is_hidden_without_the_word_before_it():
    lines = ["word1 ##piece1", "##piece2 ##piece3", ""] * 2
    with_joined = {False: 0, True: 0}
    for mend_quirks in with_joined:
        values = {"do_whole_word_mask": True, "masked_lm_prob": 0.3, "max_seq_length": 7}
        for instance in make(lines, dupe_factor=50, mend_quirks=mend_quirks, **values):
            # [CLS] word1 ##piece1 [SEP] ##piece2 ##piece3 [SEP]: two of four may be hidden.
            with_joined[mend_quirks] += {1, 4} <= set(instance.positions)
            if mend_quirks and instance.positions:
                assert instance.positions in ([1, 2], [4, 5], [1], [4], [2], [5])
    assert with_joined[True] == 0


@pytest.mark.parametrize(
    ("whole_words", "mend_quirks", "word_ids"),
    [
        (False, False, [0, 1, 2, 3, 0, 4, 5, 0]),
        (True, False, [0, 1, 1, 2, 0, 2, 3, 0]),
        (True, True, [0, 1, 1, 2, 0, 3, 4, 0]),
    ],
)
def test_word_ids_say_what_may_be_masked_together(whole_words, mend_quirks, word_ids):
    values = {"do_whole_word_mask": whole_words, "mend_quirks": mend_quirks, "masking": "dynamic"}
    instances = make(["word1 ##piece1 word2", "##piece2 word3"], dupe_factor=20, **values)
    true_next = [instance for instance in instances if not instance.is_random_next]
    assert true_next
    assert all(instance.word_ids == word_ids for instance in true_next)
