"""SQuAD's features made the obvious way: character by character, question by question.

It shares no code with bert_tf, tokenizes a passage anew for each question to it, looks at every
window for every token, and serializes through protobuf, as the original release does. It is as slow
as that: the measure of speed in `benchmarks/squad_features.py`, and of rightness in the tests.
"""


def read(articles, version_2=False):
    """The questions to train on whose answers can be found, in the articles' order."""
    examples = []
    for article in articles:
        for paragraph in article["paragraphs"]:
            words, word_at = split(paragraph["context"])
            for question in paragraph["qas"]:
                example = {"id": question["id"], "question": question["question"], "words": words}
                example["is_impossible"] = version_2 and question["is_impossible"]
                if not example["is_impossible"]:
                    (answer,) = question["answers"]
                    text, start = answer["text"], answer["answer_start"]
                    example["text"] = text
                    example["first"] = word_at[start]
                    example["last"] = word_at[start + len(text) - 1]
                    covered = " ".join(words[example["first"] : example["last"] + 1])
                    if covered.find(" ".join(text.split())) == -1:
                        continue
                examples.append(example)
    return examples


def split(text):
    """The words of a text, and for each character the number of its word."""
    words, word_at = [], []
    is_between = True
    for char in text:
        if char in (" ", "\t", "\r", "\n") or ord(char) == 0x202F:
            is_between = True
        else:
            if is_between:
                words.append(char)
            else:
                words[-1] += char
            is_between = False
        word_at.append(len(words) - 1)
    return words, word_at


def features_of(examples, tokenize, vocab, *, max_seq_length=384, doc_stride=128, max_query=64):
    """Yields a dict for each window: the features, and which tokens have most context in it."""
    for example in examples:
        question = tokenize(example["question"])[:max_query]
        tokens, first_token = [], []
        for word in example["words"]:
            first_token.append(len(tokens))
            for token in tokenize(word):
                tokens.append(token)
        answer = None
        if not example["is_impossible"]:
            start = first_token[example["first"]]
            if example["last"] < len(example["words"]) - 1:
                end = first_token[example["last"] + 1] - 1
            else:
                end = len(tokens) - 1
            answer = tighten(tokens, start, end, " ".join(tokenize(example["text"])))
        windows = windows_of(len(tokens), max_seq_length - len(question) - 3, doc_stride)
        for number, (start, length) in enumerate(windows):
            pieces = ["[CLS]"]
            segment_ids = [0]
            for token in question:
                pieces.append(token)
                segment_ids.append(0)
            pieces.append("[SEP]")
            segment_ids.append(0)
            has_most_context = {}
            for place in range(start, start + length):
                best = best_window(windows, place)
                has_most_context[len(pieces)] = best == number
                pieces.append(tokens[place])
                segment_ids.append(1)
            pieces.append("[SEP]")
            segment_ids.append(1)
            input_ids = [vocab[piece] for piece in pieces]
            input_mask = [1] * len(input_ids)
            while len(input_ids) < max_seq_length:
                input_ids.append(0)
                input_mask.append(0)
                segment_ids.append(0)
            position = (0, 0)
            if answer and answer[0] >= start and answer[1] <= start + length - 1:
                offset = len(question) + 2 - start
                position = (answer[0] + offset, answer[1] + offset)
            yield {
                "input_ids": input_ids,
                "input_mask": input_mask,
                "segment_ids": segment_ids,
                "start_positions": [position[0]],
                "end_positions": [position[1]],
                "is_impossible": [int(example["is_impossible"])],
                "has_most_context": has_most_context,
            }


def windows_of(num_tokens, max_tokens, stride):
    windows = []
    start = 0
    while start < num_tokens:
        length = min(num_tokens - start, max_tokens)
        windows.append((start, length))
        if start + length == num_tokens:
            break
        start += min(length, stride)
    return windows


def best_window(windows, place):
    best_score, best = None, None
    for number, (start, length) in enumerate(windows):
        end = start + length - 1
        if place < start or place > end:
            continue
        score = min(place - start, end - place) + 0.01 * length
        if best_score is None or score > best_score:
            best_score, best = score, number
    return best


def tighten(tokens, start, end, answer):
    """The first part of the tokens from `start` to `end` that is the answer, or all of them."""
    for new_start in range(start, end + 1):
        for new_end in range(end, new_start - 1, -1):
            if " ".join(tokens[new_start : new_end + 1]) == answer:
                return new_start, new_end
    return start, end


def write(features, path):
    """Writes a TFRecord file; gives how many records."""
    import tensorflow as tf

    count = 0
    with tf.io.TFRecordWriter(path) as writer:
        for feature in features:
            feature = {k: v for k, v in feature.items() if k != "has_most_context"}
            feature["unique_ids"] = [1_000_000_000 + count]
            example = tf.train.Example(
                features=tf.train.Features(
                    feature={
                        name: tf.train.Feature(int64_list=tf.train.Int64List(value=values))
                        for name, values in feature.items()
                    }
                )
            )
            writer.write(example.SerializeToString(deterministic=True))
            count += 1
    return count
