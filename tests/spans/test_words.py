"""Words given one by one: their pieces, and windows in which each is scored once."""

import numpy as np
import pytest

import bert_tf
from bert_tf.model.tagging_model import FEATURE_LAYERS
from bert_tf.spans import words
from bert_tf.spans.words import TaggingOptions, WordPieces, word_pieces, word_windows


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "eu", "re", "##ject"]))
    return bert_tf.FullTokenizer(str(path), do_lower_case=True)


def test_a_word_is_its_first_piece_and_one_without_pieces_is_unknown(tokenizer):
    assert word_pieces(tokenizer, ["EU", "\u200b", "reject", "EU EU"]) == (
        [5, 1, 6, 7, 5, 5],
        [0, 1, 2, 4],
    )


def test_a_short_sentence_is_one_window():
    pieces = WordPieces(list(range(5)), [0, 1, 4])
    assert [*word_windows(pieces, 5)] == [((0, 5), [0, 1, 4])]
    assert not [*word_windows(WordPieces([], []), 5)]


def test_by_hand():
    # Windows of 4, 2 apart: 0-3, 2-5, 4-6; context   0 1 1 0
    pieces = WordPieces(list(range(7)), list(range(7)))  # 0 1 1 0
    assert [*word_windows(pieces, 4)] == [  #                    0 1 0
        ((0, 4), [0, 1, 2]),
        ((2, 4), [1, 2]),
        ((4, 3), [1, 2]),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 50])
def test_each_word_is_scored_once_where_it_has_most_context(size):
    rng = np.random.default_rng(size)
    for length in (1, size, size + 1, 2 * size + 1, 97):
        first = [i for i in range(length) if not i or rng.random() < 0.6]
        windows = [*word_windows(WordPieces(list(range(length)), first), size)]
        scored = [window.start + place for window, places in windows for place in places]
        assert scored == first  # In the order of the words, none twice.
        for window, places in windows:
            assert all(0 <= place < window.length <= size for place in places)
        for window, places in windows:
            for place in places:
                piece = window.start + place
                contexts = [
                    min(piece - w.start, w.start + w.length - 1 - piece) for w, _ in windows
                ]
                assert min(place, window.length - 1 - place) == max(contexts)


def test_the_options_name_the_layers_that_the_model_has():
    assert set(words.FEATURE_LAYERS) == set(FEATURE_LAYERS)
    with pytest.raises(
        ValueError, match=r"--feature_based must be one of '', 'embeddings', .*'first'"
    ):
        TaggingOptions(feature_based="first")
