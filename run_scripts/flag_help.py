"""What scripts say of flags: `--help`, what an unknown one may mean, which one an error means."""

import difflib
import inspect
import os
import re
import shutil
import textwrap
from collections.abc import Collection

from absl import flags

# The first group, in this order.
_ESSENTIALS = (
    *("model", "model_dir", "from", "to", "task", "task_name", "data_dir", "input_file"),
    *("train_file", "dev_file", "eval_file", "test_file", "predict_file", "phases"),
    *("output_dir", "output_file", "export_dir", "do_train", "do_eval", "do_predict"),
    *("max_seq_length", "train_batch_size", "learning_rate", "num_train_steps"),
    *("num_train_epochs", "vocab_size", "layers", "hardware", "num_chips"),
    *("suite", "peers", "cases", "list", "list_tasks", "list_hardware"),
)
# The other groups: title -> names, as a regular expression. The first that matches counts.
_GROUPS = {
    "input": r"\w+_(column|source|lm_prob|seq_prob|words|characters|sentences|field)|tokens_per_\w+"
    r"|max_predictions_per_seq|labels|header|delimiter|format|language|regression|source|split"
    r"|tfds\w+|task_options|task_module|random_seed|dupe_factor|mask\w*|next_sentence"
    r"|eval_languages|eval_set|translated|do_\w+_mask|span_geometric_p|word_segmenter|mend_quirks|doc_stride"
    r"|max_query_length|version_2_with_negative|packages|multi_label|label_\w+|thresholds"
    r"|packing|blanks_separate_docs|strip_accents|text|second_text|panel"
    r"|held_out_share|allow_truncated|truncate_probability|drop_duplicates|sampling_exponent",
    "model": r"bert_config_file|vocab_file|init_checkpoint|do_lower_case|objective\w*|kind|inputs"
    r"|untrained|use_one_hot_embeddings|freeze",
    "training": r"seed|num_warmup_steps|warmup_proportion|learning_rate\w+|train_batch_sizes|rounds"
    r"|layer_wise_decay|loss_reduction"
    r"|optimizer|bias_correction|adam_\w+|weight_decay_rate|clip_norm|num_restarts|num_folds"
    r"|class_weights|phase_schedule",
    "evaluation and checkpoints": r"(eval|predict)_batch_size|\w*eval_steps|early_\w+"
    r"|log_steps|save_checkpoints_steps|keep_checkpoint_max|keep_optimizer|iterations_per_loop"
    r"|on_corrupt|allow_changed_settings|verbose_logging",
    "speed and memory": r"gradient_accumulation_steps|mixed_precision|xla|recompute_activations"
    r"|length_buckets|num_workers|batch_size|half_precision|efficiency|scaling_\w+|memory_\w+"
    r"|peak_flops|part_megabytes",
    "devices": r"use_tpu|tpu_\w+|gcp_project|master|num_(tpu_cores|gpus|virtual_devices)"
    r"|distribution_strategy|worker_\w+|task_index",
    "output": r".*",
}

# Other libraries' flags, as a regular expression -> ours, the first that the script has.
_OTHERS = {
    r"lr|rate|base_lr|initial_lr|peak_lr": "learning_rate",
    r"(num_|n_|max_|train_)?epochs?|num_training_epochs": "num_train_epochs num_train_steps",
    r"(num_|n_|max_|train_)*(steps|iters|iterations)": "num_train_steps num_train_epochs phases",
    r"(train_?)?(batch_?size|bs|batch)|per_(device|gpu)_(train_)?batch_size"
    r"|(global|mini)_batch_size": "train_batch_size batch_size",
    r"(per_(device|gpu)_)?(eval|dev|valid|test)(uation|ation)?_(batch_size|bs)": "eval_batch_size",
    r"(max|model_max|max_source|max_input)_?(seq(uence)?_?)?(len(gth)?)|maxlen|seq(uence)?_?len(gth)?"
    r"|block_size": "max_seq_length",
    r"(bert_|base_|pretrained_|pretrained)?model(_name|_path|_type|_name_or_path)*|bert|pretrained"
    r"|bert_hub_module_handle|hub_module|tokenizer(_name)?": "model from init_checkpoint",
    r"(load_|resume_from_|init_|from_)?(checkpoint|ckpt|weights)(_path|_file)?": "init_checkpoint "
    "model from",
    r"(bert_|model_)?config(_name|_path|_file)?": "bert_config_file model",
    r"vocab(ulary)?(_path|_file)?": "vocab_file model output_file",
    r"warm_?up(_steps)?": "num_warmup_steps warmup_proportion",
    r"warm_?up_(ratio|proportion|fraction)": "warmup_proportion num_warmup_steps",
    r"(random_|data_)?seed|random_state": "seed random_seed",
    r"(out|output|save|saving|result|results|work|log|logging|checkpoint|model)"
    r"(_?(dir|path|folder|directory|file))?": "output_dir output_file export_dir",
    r"(input|data|dataset|text|corpus|source|sentences)s?"
    r"(_?(dir|path|folder|name|file|files))?": "input_file data_dir train_file",
    r"(train|training)(_data)?(_?(path|files?))?": "train_file input_file data_dir do_train",
    r"(eval|dev|valid|validation|test)(_data)?(_?(path|files?|dataset))?": "dev_file eval_file "
    "predict_file data_dir do_eval",
    r"fp16|float16|half|amp|use_fp16": "mixed_precision=float16 half_precision",
    r"bf16|bfloat16|precision|dtype": "mixed_precision=bfloat16 half_precision",
    r"(n_|num_)?gpus?|devices?|num_devices|cuda|use_gpu": "num_gpus num_chips",
    r"save_steps|save_interval|checkpoint_steps": "save_checkpoints_steps",
    r"(log|logging)_(steps|interval)": "log_steps",
    r"(eval|evaluation)_(strategy|interval|every)|evaluate_during_training": "eval_steps",
    r"save_total_limit|max_to_keep": "keep_checkpoint_max",
    r"gradient_checkpointing": "recompute_activations",
    r"accumulat\w+|grad\w*_acc\w*": "gradient_accumulation_steps",
    r"(mlm|mask|masking)_?(prob|probability|ratio|rate)": "masked_lm_prob",
    r"(do_)?(lower|lower_?case|uncased)": "do_lower_case",
    r"(early_stopping|patience)": "early_stopping_patience",
    r"(\w+_)?(workers|num_proc|processes|threads|jobs|n_jobs)|num_cpus": "num_workers",
    r"overwrite\w*|force": "overwrite allow_changed_settings",
    r"task(_name)?": "task task_name",
    r"(text|sentence)(_a|1)?(_col|_column|_field|_key)?": "text_a_column text_field",
    r"(label|target)s?(_col|_column|_field|_key)?": "label_column labels",
    r"tpu": "use_tpu",
    r"predict|do_test": "do_predict",
    r"evaluate|validate|do_valid": "do_eval",
}

# Names of flags whose values are paths.
_OF_PATHS = r"\w*(file|dir|checkpoint|model|module)|from|phases"
# Words of errors about files that are not there.
_LACKS = (
    r"(?i)\bno (such|.*(file|folder|checkpoint|model))|needs|not found|exist|missing|a directory"
)


def own_flags() -> dict[str, flags.Flag]:
    """Returns the flags of the script, without those of absl."""
    values = flags.FLAGS
    names = [n for n in values if not values.find_module_defining_flag(n, "").startswith("absl")]
    return {name: values[name] for name in names}


def grouped_flags(needed: Collection[str]) -> dict[str, list[str]]:
    """Returns the names of the script's flags by group, in the order of `--help`."""
    first = [*needed, *(name for name in _ESSENTIALS if name not in needed)]
    there = own_flags()
    grouped = {"essentials": [name for name in first if name in there]}
    for name in sorted(there.keys() - {*first}):
        title = next(title for title, names in _GROUPS.items() if _is(names, name))
        grouped.setdefault(title, []).append(name)
    return {title: grouped[title] for title in ("essentials", *_GROUPS) if grouped.get(title)}


def help_text(about: str, needed: Collection[str]) -> str:
    """Returns what `--help` prints: the script's documentation, and its flags in groups."""
    width = min(100, shutil.get_terminal_size((80, 24)).columns)
    lines = [inspect.cleandoc(about)]
    for title, names in grouped_flags(needed).items():
        lines += ["", f"{title}:"]
        for name in names:
            lines += _described(name, flags.FLAGS[name], name in needed, width)
    return "\n".join([*lines, "", "--helpfull lists the flags of absl, such as --flagfile, too."])


def _described(name: str, flag: flags.Flag, is_needed: bool, width: int) -> list[str]:
    text = flag.help + (f" Needed{unless_model(name)}." if is_needed else "")
    if flag.boolean:
        head = f"--[no]{name}" if flag.default else f"--{name}"
        text += " Default: yes." if flag.default else ""
    else:
        default = ",".join(flag.default) if isinstance(flag.default, list) else flag.default
        head = f"--{name}={'...' if default in (None, '') else default}"
    lines = textwrap.wrap(text, width - 30, break_long_words=False)
    if len(head) > 26:
        return [f"  {head}", *(" " * 30 + line for line in lines)]
    return [f"  {head:<28}{lines[0]}", *(" " * 30 + line for line in lines[1:])]


def unless_model(name: str) -> str:
    """Returns what to add to "needed", for a flag that --model replaces."""
    is_part = "model" in flags.FLAGS and name in ("bert_config_file", "vocab_file")
    return ", or --model" if is_part else ""


def unknown_flag(name: str) -> str:
    """Returns the message for a flag that the script does not have, with what may be meant."""
    there = own_flags()
    plain = name.replace("-", "_").lower()
    meant = [plain] if plain in there else []
    for names, ours in _OTHERS.items():
        if _is(names, plain):
            meant += [own for own in ours.split() if own.partition("=")[0] in there][:1]
    meant = meant or difflib.get_close_matches(plain, there, 3)
    hint = f" Did you mean {' or '.join(f'--{own}' for own in dict.fromkeys(meant))}?"
    return f"There is no flag --{name}.{hint if meant else ''} --help lists them."


def with_flag(message: str) -> str:
    """Returns the message of an error, after the flag that named the file it lacks."""
    if message.startswith("--") or not re.search(_LACKS, message):
        return message
    given = [
        (name, flag.value)
        for name, flag in own_flags().items()
        if flag.present and _is(_OF_PATHS, name)
    ]
    paths = [(path, name) for name, v in given if isinstance(v, str) for path in v.split(",")]
    # The file itself is more likely than a folder above it.
    for path, name in sorted(paths, key=lambda pair: len(pair[0]), reverse=True):
        # The path, or one below it; or its folder, as a checkpoint's path is a prefix.
        ends = {path: r"(?![\w-]|\.\w)", os.path.dirname(path): r"(?![\w/-]|\.\w)"}
        places = [
            # A mere word may be one of the message's own.
            (r"(?<![\w./-])" if re.search("[./]", place) else r"(^|['\"=]|\b(at|in|from) )")
            + re.escape(place)
            + end
            for place, end in ends.items()
            if place not in "/."
        ]
        found = places and re.search("|".join(places), message)
        if found and f"--{name}" not in message:
            return f"--{name}: {message}"
    return message


def _is(names: str, name: str) -> bool:
    return re.fullmatch(names, name) is not None
