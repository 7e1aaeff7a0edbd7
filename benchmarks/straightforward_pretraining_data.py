"""BERT's pre-training records made the obvious way: lists of strings, one step after the other.

It shares no code with bert_tf, keeps everything in memory, draws its random numbers through the
standard library, and serializes through protobuf, as the original release does: the measure of
rightness in the tests.
"""

import random
import time


def create(
    lines,
    tokenize,
    vocab,
    output_files,
    *,
    max_seq_length=128,
    max_predictions_per_seq=20,
    random_seed=12345,
    dupe_factor=10,
    masked_lm_prob=0.15,
    short_seq_prob=0.1,
    do_whole_word_mask=False,
    note_time=lambda stage, seconds: None,
):
    """Writes records; gives how many. `lines` still have their line ends."""
    started = time.perf_counter()
    rng = random.Random(random_seed)
    documents = split_into_documents(lines, tokenize)
    note_time("tokenize", time.perf_counter() - started)

    started = time.perf_counter()
    rng.shuffle(documents)
    words = list(vocab)
    examples = []
    for _ in range(dupe_factor):
        for number in range(len(documents)):
            for pair in pairs_of(documents, number, max_seq_length, short_seq_prob, rng):
                hidden = hide(
                    pair["tokens"],
                    max_predictions_per_seq,
                    masked_lm_prob,
                    do_whole_word_mask,
                    words,
                    rng,
                )
                examples.append({**pair, **hidden})
    rng.shuffle(examples)
    note_time("pairs and masks", time.perf_counter() - started)

    started = time.perf_counter()
    write(examples, vocab, output_files, max_seq_length, max_predictions_per_seq)
    note_time("encode and write", time.perf_counter() - started)
    return len(examples)


def split_into_documents(lines, tokenize):
    documents = [[]]
    for line in lines:
        line = line.strip()
        if line == "":
            documents.append([])
        tokens = tokenize(line)
        if len(tokens) > 0:
            documents[-1].append(tokens)
    return [document for document in documents if len(document) > 0]


def pairs_of(documents, number, max_seq_length, short_seq_prob, rng):
    """Yields pairs one by one, as hiding draws from `rng` between them."""
    document = documents[number]
    room = max_seq_length - 3
    wanted = room
    if rng.random() < short_seq_prob:
        wanted = rng.randint(2, room)
    place = 0
    while place < len(document):
        chunk = []
        length = 0
        while place < len(document) and (length < wanted or not chunk):
            chunk.append(document[place])
            length += len(document[place])
            place += 1
        size_a = 1
        if len(chunk) > 1:
            size_a = rng.randint(1, len(chunk) - 1)
        tokens_a = [token for sentence in chunk[:size_a] for token in sentence]
        if len(chunk) == 1 or rng.random() < 0.5:
            tokens_b = random_tokens(documents, number, wanted - len(tokens_a), rng)
            place -= len(chunk) - size_a
            label = 1
        else:
            tokens_b = [token for sentence in chunk[size_a:] for token in sentence]
            label = 0
        while len(tokens_a) + len(tokens_b) > room:
            longer = tokens_b
            if len(tokens_a) > len(tokens_b):
                longer = tokens_a
            if rng.random() < 0.5:
                longer.pop(0)
            else:
                longer.pop()
        tokens = ["[CLS]", *tokens_a, "[SEP]", *tokens_b, "[SEP]"]
        segments = [0] * (len(tokens_a) + 2) + [1] * (len(tokens_b) + 1)
        yield {"tokens": tokens, "segments": segments, "label": label}


def random_tokens(documents, number, wanted, rng):
    for _ in range(10):
        other = rng.randint(0, len(documents) - 1)
        if other != number:
            break
    first = rng.randint(0, len(documents[other]) - 1)
    tokens = []
    for sentence in documents[other][first:]:
        tokens.extend(sentence)
        if len(tokens) >= wanted:
            break
    return tokens


def hide(tokens, most, masked_lm_prob, do_whole_word_mask, words, rng):
    groups = []
    for place, token in enumerate(tokens):
        if token == "[CLS]" or token == "[SEP]":
            continue
        if do_whole_word_mask and len(groups) > 0 and token.startswith("##"):
            groups[-1].append(place)
        else:
            groups.append([place])
    rng.shuffle(groups)
    count = min(most, max(1, round(len(tokens) * masked_lm_prob)))
    shown = list(tokens)
    hidden = []
    for group in groups:
        if len(hidden) >= count:
            break
        if len(hidden) + len(group) > count:
            continue
        for place in group:
            if rng.random() < 0.8:
                shown[place] = "[MASK]"
            elif rng.random() < 0.5:
                shown[place] = tokens[place]
            else:
                shown[place] = words[rng.randint(0, len(words) - 1)]
            hidden.append(place)
    hidden.sort()
    return {"shown": shown, "places": hidden, "answers": [tokens[place] for place in hidden]}


def write(examples, vocab, output_files, max_seq_length, max_predictions_per_seq):
    import tensorflow as tf

    writers = [tf.io.TFRecordWriter(path) for path in output_files]
    for number, example in enumerate(examples):
        features = arrays_of(example, vocab, max_seq_length, max_predictions_per_seq)
        message = {}
        for name, values in features.items():
            if name == "masked_lm_weights":
                message[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
            else:
                message[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        example = tf.train.Example(features=tf.train.Features(feature=message))
        writers[number % len(writers)].write(example.SerializeToString(deterministic=True))
    for writer in writers:
        writer.close()


def arrays_of(example, vocab, max_seq_length, max_predictions_per_seq):
    ids = [vocab[token] for token in example["shown"]]
    answers = [vocab[token] for token in example["answers"]]
    features = {
        "input_ids": ids,
        "input_mask": [1] * len(ids),
        "segment_ids": list(example["segments"]),
        "masked_lm_positions": list(example["places"]),
        "masked_lm_ids": answers,
        "masked_lm_weights": [1.0] * len(answers),
        "next_sentence_labels": [example["label"]],
    }
    for name, values in features.items():
        size = max_predictions_per_seq if name.startswith("masked") else max_seq_length
        if name != "next_sentence_labels":
            while len(values) < size:
                values.append(0)
    return features
