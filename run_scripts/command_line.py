"""Shared by all scripts: flags from settings classes, --model, logs, errors without tracebacks."""

import contextlib
import dataclasses
import logging
import os
import re
import signal
import sys
import typing
from collections.abc import Callable, Iterable
from typing import TypeVar

from absl import app, flags

Settings = TypeVar("Settings")

# The flags that --model stands for.
_MODEL_PARTS = ("bert_config_file", "vocab_file", "init_checkpoint", "do_lower_case")

# The flags that have to be given, in the order of `need_flags`.
_needed: list[str] = []
# Parts of a model that the script can do without.
_optional: list[str] = []

# TensorFlow has one error class for a full disk, full memory and other limits.
_DISK_IS_FULL = re.compile(r"no space left|quota exceeded|file too large", re.IGNORECASE)
_OUT_OF_MEMORY = re.compile(
    r"\bOOM\b|out.of.memory|failed to allocate|cannot allocate", re.IGNORECASE
)

_NOISY = ("tensorflow", "absl", "h5py")  # Loggers of which only errors are shown.

# A shell adds this to the number of the signal that ended a program.
_SIGNAL_STATUS = 128


def define_flags(
    fields: type | Iterable[dataclasses.Field],
    required: tuple[str, ...] = (),
    leave_out: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
) -> None:
    """Defines a flag for every field of a settings class, with the field's default and help.

    Tuples are written with commas. Call `flags.adopt_module_key_flags(command_line)` afterwards,
    so that `--help` lists the flags.

    Args:
        fields: a dataclass, or some of its fields.
        required: names of required flags. If the script has defined --model before, flags that
            name a model's files are required only without --model.
        leave_out: names of fields that get no flag.
        optional: names of files that the model of --model may lack.
    """
    for field in dataclasses.fields(fields) if isinstance(fields, type) else fields:
        default, help_text = field.default, field.metadata["help"]
        if field.name in leave_out or field.name in flags.FLAGS:
            continue
        kind = type(default) if default is not None else typing.get_args(field.type)[0]
        if kind is bool:
            flags.DEFINE_bool(field.name, default, help_text)
        elif kind is int:
            flags.DEFINE_integer(field.name, default, help_text)
        elif kind is float:
            flags.DEFINE_float(field.name, default, help_text)
        else:
            text = ",".join(default) if isinstance(default, tuple) else default
            flags.DEFINE_string(field.name, text or None, help_text)
    need_flags(required)
    _optional.extend(optional)


def define_model_flag() -> None:
    """Defines --model, which replaces the flags that name a model's files."""
    flags.DEFINE_string(
        "model",
        None,
        "The model, instead of flags for its files: the name of a released model "
        "(download_checkpoint.py --list), a folder, a checkpoint prefix, a zip, or a model in "
        "another format. Other flags take precedence over it.",
    )


def need_flags(names: Iterable[str]) -> None:
    """Makes flags required; flags for a model's files only if --model is not given."""
    _needed.extend(names)


def needed_flags() -> tuple[str, ...]:
    """Returns the names of the required flags."""
    return tuple(_needed)


def model_values() -> dict[str, str | bool]:
    """Returns values from --model for those flags that it replaces and that were not given.

    If --init_checkpoint is a zip, its value is the checkpoint inside.

    Raises:
        ValueError: if there is no such model, or the script cannot tokenize as the model does.
    """
    from bert_tf.released.download import DownloadOptions
    from bert_tf.released.find_model import find_init_checkpoint, find_model

    model, values = flags.FLAGS.model, {}
    if model:
        found = find_model(model, DownloadOptions(stream=sys.stderr))
        for name in _MODEL_PARTS:
            if name in flags.FLAGS and not flags.FLAGS[name].present:
                values[name] = getattr(found, name)
        if values.get("vocab_file", "") is None and "vocab_file" not in _optional:
            raise ValueError(
                f"--model={model} has no vocabulary (vocab.txt, spiece.model, or vocab.json with "
                "merges.txt): give --vocab_file as well."
            )
        _check_accents(model, found.strip_accents, values.get("do_lower_case"))
    if "init_checkpoint" in flags.FLAGS and flags.FLAGS["init_checkpoint"].value:
        values["init_checkpoint"] = find_init_checkpoint(flags.FLAGS["init_checkpoint"].value)
    return {name: value for name, value in values.items() if value is not None}


def _check_accents(model: str, strip_accents: bool | None, do_lower_case: bool | None) -> None:
    """Refuses a model whose tokenizer cannot be expressed by --do_lower_case."""
    if "do_lower_case" not in flags.FLAGS:
        return
    if do_lower_case is None:
        do_lower_case = flags.FLAGS["do_lower_case"].value
    if strip_accents not in (None, do_lower_case):
        what = "keeps accents" if do_lower_case else "keeps capital letters and strips accents"
        raise ValueError(
            f"--model={model}: with do_lower_case={do_lower_case} its tokenizer {what} "
            f"(strip_accents={strip_accents} in its tokenizer_config.json). This script strips "
            "accents if and only if it lower-cases, so the model would get other tokens than in "
            "its pre-training. To use it nevertheless, give --bert_config_file, "
            "--vocab_file, --init_checkpoint and --do_lower_case."
        )


def settings_from_flags(settings_class: type[Settings], **given) -> Settings:
    """Builds settings from the command line; `given` are values of fields that have no flag."""
    values = dict(given)
    from_model = {}
    is_setting = any(field.name == "model" for field in dataclasses.fields(settings_class))
    if "model" in flags.FLAGS and not is_setting:
        if "init_checkpoint" in flags.FLAGS and (
            flags.FLAGS.model or (flags.FLAGS.init_checkpoint or "").endswith(".zip")
        ):
            load_tensorflow()  # Quietly, before the check of an unpacked model imports it.
        from_model = model_values()
    for field in dataclasses.fields(settings_class):
        if field.name in given:
            continue
        value = from_model.get(field.name, flags.FLAGS[field.name].value)
        if isinstance(field.default, tuple):
            value = tuple(value.split(",")) if value else ()
        elif value is None and isinstance(field.default, str):
            value = field.default
        values[field.name] = value
    return settings_class(**values)


def options_from_flags(fields: Iterable[dataclasses.Field]) -> tuple[str, ...]:
    """Returns `name=value` for each task option whose flag was given."""
    return tuple(
        f"{field.name}={flags.FLAGS[field.name].value}"
        for field in fields
        if field.name in flags.FLAGS and flags.FLAGS[field.name].present
    )


def load_tensorflow() -> None:
    """Imports TensorFlow, and hides messages that it prints regardless of its log level."""
    sys.stderr.flush()
    standard_error = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        import tensorflow  # noqa: F401
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)


def run(main: Callable[[list[str]], None], takes_words: bool = False) -> None:
    """Runs a script: logs to standard error, and reports user errors in one message, status 1.

    A run that ended by SIGTERM or Ctrl-C has the shell's exit status for the signal (143, 130), so
    that its caller knows to start it again.

    Args:
        main: called with the script's name and the positional arguments.
        takes_words: whether the script takes positional arguments. If not, they are an error,
            because they are usually a misspelled flag.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        app.run(lambda arguments: _run(main, arguments, takes_words), flags_parser=_parse)
    finally:
        _flush()


def _flush() -> None:
    """Writes what is left for standard output, which `| head` may have closed."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parse(arguments: list[str]) -> list[str]:
    """Parses the flags, or exits: after `--help`, or with what is wrong."""
    own = arguments[1 : arguments.index("--") if "--" in arguments else None]
    if {"--help", "-help", "-h", "--helpshort"} & {*own}:
        import flag_help

        with contextlib.suppress(BrokenPipeError):
            print(flag_help.help_text(sys.modules["__main__"].__doc__, _needed), flush=True)
        sys.exit(0)
    try:
        words = flags.FLAGS(arguments)
    except flags.UnrecognizedFlagError as error:
        import flag_help

        sys.exit(f"Error: {flag_help.unknown_flag(error.flagname)}")
    except flags.Error as error:
        sys.exit(f"Error: {error}")
    missing = [name for name in _needed if flags.FLAGS[name].value is None]
    has_model = "model" in flags.FLAGS
    if has_model and flags.FLAGS.model:
        missing = [name for name in missing if name not in _MODEL_PARTS]
    if missing:
        of_model = has_model and not {*_MODEL_PARTS}.isdisjoint(missing)
        instead = " (or --model for the model's files)" if of_model else ""
        names = ", ".join(f"--{name}" for name in missing)
        are = "are" if len(missing) > 1 else "is"
        sys.exit(f"Error: {names} {are} needed{instead}. --help describes the flags.")
    return words


def _run(main: Callable[[list[str]], None], arguments: list[str], takes_words: bool) -> None:
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
        force=True,
    )
    # Not by the loggers' levels, which Keras sets again.
    logging.getLogger().handlers[0].addFilter(
        lambda record: record.levelno >= logging.ERROR or record.name not in _NOISY
    )
    # Exit by an exception, so that half-written files are removed and training saves its state.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(_SIGNAL_STATUS + number))
    # `--do_train True` leaves a redundant word.
    words = [word for word in arguments[1:] if word.lower() != "true"]
    if words and not takes_words:
        sys.exit(
            f"Error: not understood: {' '.join(words)!r}. Write --flag=value, or --noflag "
            "to switch a flag off; put file patterns in quotes."
        )
    try:
        main(arguments)
    except KeyboardInterrupt:
        sys.exit(_SIGNAL_STATUS + signal.SIGINT)
    except BrokenPipeError:  # The reader of standard output has read enough.
        pass
    except (ValueError, OSError) as error:
        import flag_help

        logging.getLogger().debug("", exc_info=True)
        sys.exit(f"Error: {flag_help.with_flag(str(error))}")
    except Exception as error:
        sys.exit(_outcome(error))


def _outcome(error: Exception) -> int | str:
    """Returns the exit status or message for an error of the environment; raises other errors."""
    signal_number = getattr(error, "signal_number", None)
    if signal_number is not None:  # Training was stopped, and has saved a checkpoint.
        logging.getLogger(__name__).warning("%s", error)
        return _SIGNAL_STATUS + signal_number
    text = str(error)
    if _DISK_IS_FULL.search(text):
        return f"Error: there is no space to write. Free some, or name another folder. ({text})"
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(text):
        return (
            f"Error: out of memory. Use a smaller batch size or, in training, more "
            f"--gradient_accumulation_steps, with the same result. ({text})"
        )
    if type(error).__name__ == "ResourceExhaustedError":
        return f"Error: the system has too little of something: {text}"
    raise error
