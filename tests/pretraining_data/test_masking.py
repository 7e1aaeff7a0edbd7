"""Masks: the same use of chance as the standard library's, and rules that are checked by hand."""

import collections
import random

import pytest

from bert_tf.pretraining_data import masking
from bert_tf.settings.pretraining_data import MASKING_MIX, parse_masking_mix

ORIGINAL_MIX = parse_masking_mix(MASKING_MIX)


@pytest.mark.parametrize("size", [*range(20), 63, 64, 65, 127, 128, 129, 255, 256, 1000, 5000])
def test_shuffling_is_that_of_the_standard_library_and_leaves_the_same_state(size):
    ours, theirs = random.Random(size), random.Random(size)
    items, expected = list(range(size)), list(range(size))
    for _ in range(3):
        masking.shuffle(items, ours)
        theirs.shuffle(expected)
        assert items == expected
        assert ours.getstate() == theirs.getstate()


class ScriptedRandom(random.Random):
    """Gives the fractions that it was told, and counts."""

    def __init__(self, fractions, seed=0):
        super().__init__(seed)
        self.fractions = list(fractions)

    def random(self):
        return self.fractions.pop(0)


@pytest.mark.parametrize("num_replacements", [1, 2, 3, 100, 127, 128, 129, 30522, 2**16])
def test_a_random_token_is_drawn_as_randint_draws_it(num_replacements):
    ours, theirs = random.Random(7), random.Random(7)
    replacements = [number + 5 for number in range(num_replacements)]
    ids, expected = [0] * 200, [0] * 200
    masking.mask_tokens(ids, range(200), -1, replacements, ORIGINAL_MIX, ours)
    for place in range(200):
        if theirs.random() < 0.8:
            expected[place] = -1
        elif theirs.random() < 0.5:
            pass
        else:
            expected[place] = replacements[theirs.randint(0, num_replacements - 1)]
    assert ids == expected
    assert ours.getstate() == theirs.getstate()


def test_a_number_below_a_limit_is_drawn_as_randint_draws_it():
    ours, theirs = random.Random(3), random.Random(3)
    for limit in [1, 2, 3, 4, 5, 127, 128, 129, 30522, 2**32, 2**40 + 1] * 10:
        assert masking.draw_below(limit, ours) == theirs.randint(0, limit - 1)
    assert ours.getstate() == theirs.getstate()


def test_of_ten_hidden_tokens_eight_are_masked_one_stays_and_one_is_random():
    ids = [7] * 100_000
    masking.mask_tokens(ids, range(len(ids)), 4, [8, 9], ORIGINAL_MIX, random.Random(0))
    counts = collections.Counter(ids)
    assert counts[4] == pytest.approx(80_000, rel=0.01)
    assert counts[7] == pytest.approx(10_000, rel=0.05)
    assert counts[8] == pytest.approx(5_000, rel=0.05)
    assert counts[9] == pytest.approx(5_000, rel=0.05)


# Table 8 of Devlin et al. 2019.
@pytest.mark.parametrize("mix", ["80,10,10", "100,0,0", "80,0,20", "80,20,0", "0,20,80", "0,0,100"])
def test_a_mix_gives_its_shares(mix):
    ids = [7] * 100_000
    masking.mask_tokens(ids, range(len(ids)), 4, [8], parse_masking_mix(mix), random.Random(0))
    shares = [collections.Counter(ids)[token] / 1000 for token in (4, 7, 8)]
    expected = [float(share) for share in mix.split(",")]
    assert shares == pytest.approx(expected, abs=0.5)
    assert [share == 0 for share in shares] == [share == 0 for share in expected]


@pytest.mark.parametrize("mix", ["80,10", "80,10,20", "-10,60,50", "a,b,c", "", "0,nan,100"])
def test_a_mix_that_is_none_is_refused(mix):
    with pytest.raises(ValueError, match="three percentages that add up to 100"):
        parse_masking_mix(mix)


def test_the_limits_of_the_three_cases_are_those_of_the_original():
    below, at = 0.7999999, 0.8
    rng = ScriptedRandom((below, at, 0.4999999, at, 0.5))
    ids = [7, 7, 7]
    masking.mask_tokens(ids, [2, 0, 1], 4, [9], ORIGINAL_MIX, rng)
    assert ids == [7, 9, 4]
    assert rng.fractions == []


@pytest.mark.parametrize(
    ("num_tokens", "masked_lm_prob", "most", "expected"),
    [
        (128, 0.15, 20, 19),
        (128, 0.15, 10, 10),
        (5, 0.15, 20, 1),  # One at least.
        (10, 0.25, 20, 2),  # 2.5 is rounded to the even number,
        (14, 0.25, 20, 4),  # and so is 3.5.
    ],
)
def test_how_many_tokens_are_hidden(num_tokens, masked_lm_prob, most, expected):
    assert masking.num_to_predict(num_tokens, masked_lm_prob, most) == expected


def test_tokens_are_chosen_among_the_places_given_once_each():
    # Of [CLS] a a [SEP] b b b [SEP].
    chosen = collections.Counter()
    rng = random.Random(0)
    for _ in range(200):
        places = masking.choose_tokens([1, 2, 4, 5, 6], count=3, rng=rng)
        assert len(set(places)) == 3
        chosen.update(places)
    assert sorted(chosen) == [1, 2, 4, 5, 6]


CONTINUES = range(10, 20)  # Ids from 10 on are ## pieces.


def group(ids, num_tokens_a, mend_quirks=False):
    return masking.group_words(ids, num_tokens_a, CONTINUES, mend_quirks)


def test_the_pieces_of_a_word_are_grouped():
    #       [CLS]         [SEP]         [SEP]
    ids = [0, 5, 11, 12, 5, 0, 6, 6, 13, 0]
    assert group(ids, 4) == [[1, 2, 3], [4], [6], [7, 8]]


def test_a_piece_at_the_start_of_a_is_a_word():
    assert group([0, 11, 12, 5, 0, 6, 0], 3) == [[1, 2], [3], [5]]


def test_a_piece_at_the_start_of_b_joins_the_last_word_of_a_unless_mended():
    ids = [0, 5, 11, 0, 12, 13, 6, 0]
    assert group(ids, 2) == [[1, 2, 4, 5], [6]]
    assert group(ids, 2, mend_quirks=True) == [[1, 2], [4, 5], [6]]


def test_whole_words_are_chosen_as_long_as_they_fit():
    words = [[1, 2, 3], [4], [6], [7, 8]]
    for seed in range(100):
        expected = [list(word) for word in words]
        random.Random(seed).shuffle(expected)
        places = []
        for word in expected:
            if len(places) + len(word) <= 3:
                places += word
        chosen = masking.choose_words([list(w) for w in words], 3, random.Random(seed))
        assert chosen == places
        assert 1 <= len(chosen) <= 3


def test_no_word_is_chosen_if_all_are_too_long():
    assert masking.choose_words([[1, 2], [3, 4]], 1, random.Random(0)) == []


VOCAB = {
    token: index
    for index, token in enumerate(
        ["[PAD]", "[unused0]", "a", "##a", "[UNK]", "[", "]", "[MASK]", "<S>", "<", "[]"]
    )
}


def test_every_row_may_replace_a_token_and_only_ordinary_ones_when_mended():
    assert list(masking.replacement_ids(VOCAB)) == list(range(11))
    mended = masking.replacement_ids(VOCAB, mend_quirks=True)
    assert [list(VOCAB)[index] for index in mended] == ["a", "##a", "[", "]", "<"]
    assert masking.id_ranges(mended) == [[2, 4], [5, 7], [9, 10]]
    assert masking.id_ranges(masking.replacement_ids(VOCAB)) == [[0, 11]]


def test_a_vocabulary_without_ordinary_rows_cannot_be_mended():
    with pytest.raises(ValueError, match="holds special tokens only"):
        masking.replacement_ids({"[PAD]": 0, "[MASK]": 1}, mend_quirks=True)
