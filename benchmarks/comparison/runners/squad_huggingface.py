"""Fine-tunes on SQuAD 1.1 by Hugging Face's Trainer, and scores the answers.

transformers has the model and the tokenizer; what makes windows of passages and answers of logits
is here, as in its documentation: a window has the answer or none, an answer has 30 tokens at most,
and the best of all windows counts.
"""

import finetuning
import huggingface_training
import numpy as np
import torch
from reporting import read_settings, report, report_versions
from transformers import (
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    DataCollatorWithPadding,
    set_seed,
)

SETTINGS = read_settings()
OVERLAP = 128  # Tokens that two windows share.
NUM_STARTS = 20
MAX_ANSWER_TOKENS = 30


def main() -> None:
    set_seed(finetuning.seed(SETTINGS))
    folder = finetuning.model_folder(SETTINGS)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    examples = finetuning.examples_folder(SETTINGS)
    train = finetuning.read_questions(examples / "train.json")
    dev = finetuning.read_questions(examples / "dev.json")
    model = AutoModelForQuestionAnswering.from_pretrained(folder, dtype=torch.float32)
    collate = DataCollatorWithPadding(tokenizer)
    features = [with_answer(window, train) for window in windows(train, tokenizer)]
    trainer, clock = huggingface_training.make_trainer(
        SETTINGS, model, tokenizer, features, collate, num_examples=len(train)
    )
    trainer.train()
    report_versions("torch", "transformers")
    report(**finetuning.speed(clock.seconds, SETTINGS.batch_size))
    if SETTINGS.metrics:
        trainer.args.train_sampling_strategy = "random"  # Else predictions have another order.
        found = windows(dev, tokenizer)
        logits = trainer.predict([inputs(window) for window in found]).predictions
        report(**finetuning.squad_scores(examples / "dev.json", answers(dev, found, *logits)))


def windows(questions: list[dict], tokenizer) -> list[dict]:
    """Returns the windows of all questions, with their inputs, `example` and `offset_mapping`.

    The offsets are of the passage; None elsewhere.
    """
    encoded = tokenizer(
        [question["question"].strip() for question in questions],
        [question["context"] for question in questions],
        truncation="only_second",
        max_length=SETTINGS.max_seq_length,
        stride=OVERLAP,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    found = []
    for i, example in enumerate(encoded.pop("overflow_to_sample_mapping")):
        window = {name: column[i] for name, column in encoded.items()}
        offsets = zip(window["offset_mapping"], encoded.sequence_ids(i), strict=True)
        window["offset_mapping"] = [offset if part == 1 else None for offset, part in offsets]
        found.append({**window, "example": example})
    return found


def inputs(window: dict) -> dict:
    """Returns what the model takes of a window."""
    return {name: window[name] for name in ("input_ids", "token_type_ids", "attention_mask")}


def with_answer(window: dict, questions: list[dict]) -> dict:
    """Returns the inputs and the answer's first and last token; [CLS] if it is elsewhere."""
    answer = questions[window["example"]]["answers"][0]
    first = answer["answer_start"]
    last = first + len(answer["text"]) - 1
    places = {"start_positions": 0, "end_positions": 0}
    for place, offset in enumerate(window["offset_mapping"]):
        if offset and offset[0] <= first < offset[1]:
            places["start_positions"] = place
        if offset and offset[0] <= last < offset[1]:
            places["end_positions"] = place
    if not all(places.values()):
        places = {"start_positions": 0, "end_positions": 0}
    return {**inputs(window), **places}


def answers(
    questions: list[dict], found: list[dict], starts: np.ndarray, ends: np.ndarray
) -> dict[str, str]:
    """Returns each question's best answer by its id."""
    best = {question["id"]: (-np.inf, "") for question in questions}
    for window, start_logits, end_logits in zip(found, starts, ends, strict=True):
        question = questions[window["example"]]
        offsets = window["offset_mapping"]
        places = [
            [place for place in np.argsort(-logits[: len(offsets)])[:NUM_STARTS] if offsets[place]]
            for logits in (start_logits, end_logits)
        ]
        for start in places[0]:
            for end in places[1]:
                score = start_logits[start] + end_logits[end]
                is_answer = start <= end < start + MAX_ANSWER_TOKENS
                if is_answer and score > best[question["id"]][0]:
                    text = question["context"][offsets[start][0] : offsets[end][1]]
                    best[question["id"]] = (score, text)
    return {name: text for name, (_, text) in best.items()}


if __name__ == "__main__":
    main()
