"""Pre-trains one encoder by the objectives of several systems, in the same processor time each.

    python run_scripts/recipes/compare_objectives.py --corpus='text/*.txt.gz' --glue=glue_data \
        --output=objectives --minutes=10

    bert        two segments, masked words and next sentence, masks on disk
    roberta     full sentences, masked words, other masks in each epoch
    electra     replaced tokens, with a generator of half the width
    spanbert    one segment, masked spans, also guessed from their borders

All have the same text, vocabulary, encoder, batch, length and rate. The vocabulary is small: in
minutes a small model learns to use the context only with few word pieces. A short run of each
measures the processor time of a step, which gives the number of steps. With --jobs=2 two trainings
run at a time, each on a core of its own. Each quarter's checkpoint is fine-tuned on the tasks.
Started again, it goes on. results.md, results.json and, with matplotlib, results.png have the
scores.
"""

import argparse
import concurrent.futures
import itertools
import json
import os
import queue
import statistics
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent
SYSTEMS = {  # Records, objective, more of the configuration, more flags of training.
    "bert": (["--dupe_factor=5"], "masked_lm+next_sentence", {}, []),
    "roberta": (
        ["--full_sentences", "--masking=dynamic"],
        *("masked_lm", {"type_vocab_size": 1}, []),
    ),
    "electra": (
        *(["--packing=electra"], "replaced_tokens"),
        {"model_type": "electra", "generator_hidden_size": 0.5, "generator_layers": 1.0},
        ["--learning_rate_schedule=product"],
    ),
    "spanbert": (
        ["--do_span_mask", "--next_sentence=false", "--masking=dynamic"],
        *("masked_lm+span_boundary", {}, []),
    ),
}
PARTS = 4
CALIBRATION = (50, 250)  # The steps of two runs, whose difference has no start in it.
FINETUNING = {"sst-2": ("eval_accuracy", 0.3), "mrpc": ("eval_f1", 5.0)}
FINETUNING |= {"sts-b": ("eval_pearson", 5.0), "cola": ("eval_matthews", 3.0)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", required=True, help="text, as for create_pretraining_data.py")
    parser.add_argument("--glue", type=Path, required=True, help="a folder with SST-2, STS-B, ...")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0, help="of a processor, per system")
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--tasks", default="sst-2,sts-b", help=f"some of {', '.join(FINETUNING)}")
    parser.add_argument("--vocab_size", type=int, default=1000)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--finetuning_rate", type=float, default=3e-4)
    parser.add_argument(
        "--finetuning_epochs", type=float, help="of all tasks; default: each its own"
    )
    parser.add_argument("--seeds", type=int, default=1, help="of fine-tuning")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time, a core each")
    study = Study(parser.parse_args())
    study.prepare()
    with concurrent.futures.ThreadPoolExecutor(study.jobs) as pool:
        trained = dict(zip(study.systems, pool.map(study.pretrain, study.systems), strict=True))
        runs = [
            (system, part, task, seed)
            for part, system, task, seed in itertools.product(
                range(PARTS, 0, -1), study.systems, study.tasks, range(1, study.seeds + 1)
            )
        ]
        scores = list(pool.map(lambda run: study.finetune(trained, *run), runs))
    write_results(study, trained, dict(zip(runs, scores, strict=True)))


class Study:
    """Runs the programs, each on a free core, and remembers what is finished."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments, self.output = arguments, arguments.output
        self.systems, self.tasks = arguments.systems.split(","), arguments.tasks.split(",")
        for given, known in ((self.systems, SYSTEMS), (self.tasks, FINETUNING)):
            if unknown := set(given) - set(known):
                raise SystemExit(f"Unknown: {', '.join(unknown)}. Known: {', '.join(known)}")
        self.seeds, self.jobs = arguments.seeds, arguments.jobs
        self.cores: queue.Queue[int] = queue.Queue()
        for core in sorted(os.sched_getaffinity(0))[: self.jobs]:
            self.cores.put(core)

    def run(self, script: str, flags: list, alone: bool = False) -> float:
        """Runs a program, on one core unless `alone`. Returns its seconds of processor time."""
        core = None if alone else self.cores.get()
        log = self.output / "log.txt"
        try:
            with log.open("a") as file:
                command = [sys.executable, SCRIPTS / script, *map(str, flags)]
                pinned = None if core is None else (lambda: os.sched_setaffinity(0, {core}))
                process = subprocess.Popen(command, stdout=file, stderr=file, preexec_fn=pinned)
                _, status, used = os.wait4(process.pid, 0)
        finally:
            if core is not None:
                self.cores.put(core)
        if status:
            raise SystemExit(f"{script} failed; the end of {log} says why.")
        return used.ru_utime + used.ru_stime

    def prepare(self) -> None:
        """Makes the vocabulary, and the records and configuration of each system."""
        arguments = self.arguments
        self.output.mkdir(parents=True, exist_ok=True)
        self.vocabulary = self.output / "vocab.txt"
        text = f"--input_file={arguments.corpus}"
        if not self.vocabulary.exists():
            size = f"--vocab_size={arguments.vocab_size}"
            self.run("learn_vocab.py", [text, f"--output_file={self.vocabulary}", size], alone=True)
        num_rows = len(self.vocabulary.read_text().splitlines())
        for system in self.systems:
            flags, _, own, _ = SYSTEMS[system]
            config = {
                "vocab_size": num_rows,
                "num_hidden_layers": arguments.layers,
                "hidden_size": arguments.width,
                "num_attention_heads": max(1, arguments.width // 64),
                "intermediate_size": 4 * arguments.width,
                "initializer_range": 0.05,  # Of narrow layers: 0.02 is for a width of 768.
                "max_position_embeddings": 512,
                "type_vocab_size": 2,
                "hidden_act": "gelu_erf",
            }
            if system == "electra":
                config["embedding_size"] = arguments.width
            (self.output / f"{system}.json").write_text(json.dumps(config | own, indent=2))
            common = [
                text,
                f"--vocab_file={self.vocabulary}",
                f"--max_seq_length={arguments.length}",
            ]
            common += [f"--output_dir={self.output}/records/{system}", "--num_shards=8"]
            common.append(f"--num_workers={self.jobs}")
            self.run("create_pretraining_data.py", [*common, *flags], alone=True)

    def pretrain(self, system: str) -> dict:
        """Trains for the time that all have. Returns the steps, and the processor time of all."""
        folder = self.output / "pretrained" / system
        finished = folder / "finished.json"
        if not finished.exists():
            seconds = self.seconds_per_step(system)
            steps = max(PARTS, round(60 * self.arguments.minutes / seconds / PARTS) * PARTS)
            used = self.train(system, folder, steps)
            finished.write_text(json.dumps({"steps": steps, "seconds": used, "of_a_step": seconds}))
        return json.loads(finished.read_text())

    def seconds_per_step(self, system: str) -> float:
        few, many = (
            self.train(system, self.output / "calibration" / f"{system}_{steps}", steps)
            for steps in CALIBRATION
        )
        return (many - few) / (CALIBRATION[1] - CALIBRATION[0])

    def train(self, system: str, folder: Path, steps: int) -> float:
        """Returns the seconds of processor time of a run."""
        _, objective, _, more = SYSTEMS[system]
        arguments = self.arguments
        print(f"{system}: {steps:,} steps", flush=True)
        return self.run(
            "run_pretraining.py",
            [
                *("--do_train", f"--objective={objective}", f"--output_dir={folder}", *more),
                f"--input_file={self.output}/records/{system}/*.tfrecord",
                f"--bert_config_file={self.output}/{system}.json",
                f"--max_seq_length={arguments.length}",
                *(f"--train_batch_size={arguments.batch}", f"--learning_rate={arguments.rate}"),
                *(f"--num_train_steps={steps}", f"--num_warmup_steps={steps // 20}"),
                *(f"--save_checkpoints_steps={max(1, steps // PARTS)}", "--keep_checkpoint_max=0"),
            ],
        )

    def finetune(self, trained: dict, system: str, part: int, task: str, seed: int) -> float:
        """Returns the score of a quarter's checkpoint on the development set."""
        folder = self.output / "finetuned" / f"{system}_{part}of{PARTS}_{task}_{seed}"
        metric, epochs = FINETUNING[task]
        results = folder / "eval_results.txt"
        if not results.exists():
            step = trained[system]["steps"] * part // PARTS
            start = self.output / "pretrained" / system / f"model.ckpt-{step}"
            print(f"{system}, {part} of {PARTS}: {task}, seed {seed}", flush=True)
            self.run(
                "finetune.py",
                [
                    *("--do_train", "--do_eval", f"--task=glue:{task}", f"--seed={seed}"),
                    *(f"--data_dir={self.arguments.glue}/{task.upper()}", f"--output_dir={folder}"),
                    f"--bert_config_file={self.output}/{system}.json",
                    *(f"--vocab_file={self.vocabulary}", f"--init_checkpoint={start}"),
                    *("--max_seq_length=128", "--train_batch_size=32", "--keep_optimizer=false"),
                    f"--learning_rate={self.arguments.finetuning_rate}",
                    f"--num_train_epochs={self.arguments.finetuning_epochs or epochs}",
                ],
            )
            for path in folder.glob("model.ckpt-*"):  # The score is kept, not the weights.
                path.unlink()
        found = dict(line.split(" = ") for line in results.read_text().splitlines())
        return float(found[metric])


def write_results(study: Study, trained: dict, scores: dict) -> None:
    """Writes and prints the table, and draws the plot."""
    rows, lines = (
        [],
        [
            "| system | steps | ms of a step | "
            + " | ".join(
                f"{task} at {part}/{PARTS}" for task in study.tasks for part in range(1, PARTS + 1)
            )
            + " |"
        ],
    )
    lines.append("|" + "---|" * (3 + PARTS * len(study.tasks)))
    for system in study.systems:
        means = {
            task: [
                100
                * statistics.fmean(
                    scores[system, part, task, seed] for seed in range(1, study.seeds + 1)
                )
                for part in range(1, PARTS + 1)
            ]
            for task in study.tasks
        }
        rows.append({"system": system, **trained[system], "scores": means})
        cells = [f"{score:.1f}" for task in study.tasks for score in means[task]]
        about = trained[system]
        lines.append(
            f"| {system} | {about['steps']:,} | {1e3 * about['of_a_step']:.0f} | "
            + " | ".join(cells)
            + " |"
        )
    used = [row["seconds"] / 60 for row in rows]
    lines += ["", f"Processor minutes of a pre-training: {min(used):.1f} to {max(used):.1f}."]
    text = "\n".join(lines) + "\n"
    (study.output / "results.json").write_text(json.dumps(rows, indent=2) + "\n")
    (study.output / "results.md").write_text(text)
    print(text, end="")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("No plot: pip install matplotlib")
        return
    figure = Figure(figsize=(5 * len(study.tasks), 4), layout="constrained")
    for axes, task in zip(
        figure.subplots(1, len(study.tasks), squeeze=False)[0], study.tasks, strict=True
    ):
        for row in rows:
            minutes = [row["seconds"] / 60 * part / PARTS for part in range(1, PARTS + 1)]
            axes.plot(minutes, row["scores"][task], marker="o", label=row["system"])
        axes.set(title=task, xlabel="processor minutes of pre-training", ylabel="score")
        axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(study.output / "results.png", dpi=150)


if __name__ == "__main__":
    main()
