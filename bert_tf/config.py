"""The configuration of a model, and reading and writing JSON. No TensorFlow."""

import dataclasses
import json
import re
import warnings
from collections.abc import Iterable
from typing import Any

from bert_tf import files

ACTIVATIONS = ("gelu", "gelu_erf", "relu", "tanh", "linear")
# Architectures -> the fields that only they have. A model_type that is missing is told by them.
MODEL_TYPES = {
    "bert": (),
    "roberta": (),
    "distilbert": (),
    "albert": ("embedding_size", "num_hidden_groups", "inner_group_num"),
    "electra": ("embedding_size", "generator_hidden_size", "generator_layers", "gelu_pooler"),
}
# These are written to files only where they differ from the default: the original's have no such.
_ONLY_IF_SET = (
    *("model_type", "is_causal", "bilstm_layers"),
    *("embedding_size", "num_hidden_groups", "inner_group_num", "layer_norm_eps"),
    *("generator_hidden_size", "generator_layers", "gelu_pooler"),
)
_COUNTS = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
    *("intermediate_size", "max_position_embeddings", "type_vocab_size"),
)
_MAX_WEIGHTS, _MAX_LAYERS = 10**12, 10**4  # More are a mistake, and would take all memory.
# The original's `generator_hidden_size` and `generator_layers`.
_GENERATOR_SIZE, _GENERATOR_LAYERS = 0.25, 1.0
_GENERATOR_HEAD_SIZE = 64
_MAX_UNUSED_ROWS = 1024  # Word embeddings may be padded, so that their number divides well.
# Keys of configurations that have no use here -> the architectures that have them.
_OTHER_ARCHITECTURES = {
    "relative_attention": "DeBERTa",
    "pos_att_type": "DeBERTa",
    "position_buckets": "DeBERTa",
    "global_attn_every_n_layers": "ModernBERT",
    "global_rope_theta": "ModernBERT",
    "d_model": "XLNet",
    "untie_r": "XLNet",
    "trigram_input": "MobileBERT",
    "intra_bottleneck_size": "MobileBERT",
}


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """The shape of a BERT, as in the released `bert_config.json` files.

    Keys and defaults are the original release's, `type_vocab_size=16` included: released files
    name their own (2), and files written by others may rely on the default.

    Raises a ValueError for a value that no model can have.

    Example:

        config = bert_tf.BertConfig(vocab_size=30522, type_vocab_size=2)  # BERT-Base
        config = bert_tf.BertConfig.from_json_file("bert_config.json")
        print(config.to_json_string())

    Source: google-research/bert, modeling.py, `BertConfig`.
    """

    vocab_size: int  # V, rows of the word embeddings.
    hidden_size: int = 768  # H, the width of every layer.
    num_hidden_layers: int = 12
    num_attention_heads: int = 12  # N; divides `hidden_size`.
    intermediate_size: int = 3072  # Width of the feed-forward layer.
    # Of the feed-forward and masked-LM layers: `gelu` is its tanh form, as Google's models were
    # trained; `gelu_erf` the exact form, as Hugging Face's were; `relu`, `tanh` or `linear`. In
    # ELECTRA `gelu` becomes `gelu_erf`, as its authors and Hugging Face mean that by it.
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1  # After embeddings and sub-layers; None for 0, as the next.
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512  # The longest sequence, in tokens.
    type_vocab_size: int = 16  # How many segment ids there are.
    initializer_range: float = 0.02  # Standard deviation of the weights' truncated normal.
    model_type: str = "bert"  # The architecture, as in Hugging Face's files.
    is_causal: bool = False  # Whether a token sees only itself and the tokens before it.
    bilstm_layers: int = 0  # Bidirectional LSTM layers on top of the last block.
    embedding_size: int = 0  # E, the width of the embeddings (ALBERT, ELECTRA); 0: H.
    num_hidden_groups: int = 0  # Groups of layers that share weights (ALBERT).
    inner_group_num: int = 0  # Blocks in each layer of a group (ALBERT).
    layer_norm_eps: float = 1e-12  # Epsilon of all LayerNorms; 1e-5 in RoBERTa.
    generator_hidden_size: float = 0.0  # Of the generator, as a fraction of H (ELECTRA); 0: 1/4.
    generator_layers: float = 0.0  # Its depth as a fraction of the layers (ELECTRA); 0: 1.
    # Whether a dense layer and a gelu stand between [CLS] and a classifier (ELECTRA), as in Hugging
    # Face's classes. The original's classifiers have [CLS] as it is.
    gelu_pooler: bool = False
    # Unknown keys of a JSON file, which are written out again.
    unknown_keys: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check_architecture({"model_type": self.model_type})
        if self.model_type == "electra" and str(self.hidden_act).lower() == "gelu":
            object.__setattr__(self, "hidden_act", "gelu_erf")
        self._check_fields_of_architecture()
        for name in ("is_causal", "gelu_pooler"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false. Received: {getattr(self, name)!r}")
        may_be_0 = ("bilstm_layers", "embedding_size", "num_hidden_groups", "inner_group_num")
        may_be_0 += ("type_vocab_size",) if self.model_type == "distilbert" else ()
        for name in dict.fromkeys((*_COUNTS, *may_be_0)):
            value, least = getattr(self, name), 0 if name in may_be_0 else 1
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                bound = f"of at least {least}" if least == 0 else "above 0"
                raise ValueError(f"{name} must be a whole number {bound}. Received: {value!r:.80}")
        if self.bilstm_layers and self.hidden_size % 2:
            raise ValueError(f"bilstm_layers needs an even hidden_size: {self.hidden_size}")
        weights = self.hidden_size * (
            self.vocab_size
            + self.max_position_embeddings
            + self.type_vocab_size
            + self.num_hidden_layers * (4 * self.hidden_size + 2 * self.intermediate_size)
        )
        if weights > _MAX_WEIGHTS or self.num_hidden_layers > _MAX_LAYERS:
            sizes = ", ".join(f"{name}={getattr(self, name)}" for name in _COUNTS)
            raise ValueError(f"no computer holds a model of these sizes: {sizes:.300}")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            if getattr(self, name) is not None:  # As in the original: no dropout.
                check_range(name, getattr(self, name), "[0, 1)")
        check_range("initializer_range", self.initializer_range, "(0, inf)")
        check_range("layer_norm_eps", self.layer_norm_eps, "(0, 1]")
        for name in ("generator_hidden_size", "generator_layers"):
            check_range(name, getattr(self, name), "[0, 1]")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size must be a multiple of num_attention_heads. Received: "
                f"hidden_size={self.hidden_size}, num_attention_heads={self.num_attention_heads}"
            )
        if str(self.hidden_act or "linear").lower() not in ACTIVATIONS:
            raise ValueError(
                f"hidden_act must be one of {', '.join(ACTIVATIONS)}. Received: {self.hidden_act!r}"
            )

    def _check_fields_of_architecture(self) -> None:
        of_any = {name for names in MODEL_TYPES.values() for name in names}
        for name in sorted(of_any - set(MODEL_TYPES[self.model_type])):
            if getattr(self, name):
                owners = ", ".join(own for own, names in MODEL_TYPES.items() if name in names)
                raise ValueError(
                    f"This is the configuration of another architecture: {name} is a key of "
                    f"{owners}, the model_type is {self.model_type!r}."
                )
        groups, layers = self.num_hidden_groups, self.num_hidden_layers
        if self.model_type == "albert" and not (self.embedding_size and self.inner_group_num):
            raise ValueError(
                "The configuration of an ALBERT needs embedding_size, num_hidden_groups and "
                f"inner_group_num. Received: {self.embedding_size}, {groups}, "
                f"{self.inner_group_num}"
            )
        if self.model_type == "albert" and not 1 <= groups <= layers:
            raise ValueError(
                f"num_hidden_groups must be from 1 to num_hidden_layers. Received: {groups} "
                f"groups, {layers} layers"
            )

    @property
    def longest_sequence(self) -> int:
        """The tokens of the longest sequence; RoBERTa's positions begin after those of padding."""
        return self.max_position_embeddings - (2 if self.model_type == "roberta" else 0)

    @property
    def scope(self) -> str:
        """What the names of an encoder's weights begin with."""
        return "electra" if self.model_type == "electra" else "bert"

    @classmethod
    def from_dict(cls, json_object: dict[str, Any]) -> "BertConfig":
        """Builds a config from the keys of a released `bert_config.json`.

        Keys that are not known are kept in `unknown_keys`, with a warning. Raises a ValueError for
        the keys of another architecture, and for values that no model can have.
        """
        known = {field.name for field in dataclasses.fields(cls)} - {"unknown_keys"}
        json_object = {**json_object, "model_type": model_type_of(json_object)}
        check_architecture(json_object)
        if json_object["model_type"] == "distilbert" and "dim" in json_object:
            raise ValueError(
                "This is a DistilBERT's config.json of Hugging Face, whose keys have other names. "
                "Give its folder as --model, or convert it with convert_checkpoint.py. "
                f"Received: dim={json_object['dim']!r}"
            )
        unknown = {key: value for key, value in json_object.items() if key not in known}
        if unknown:
            warnings.warn(
                f"BertConfig does not use these keys, and keeps them as they are: "
                f"{', '.join(sorted(unknown))}",
                stacklevel=2,
            )
        if "vocab_size" not in json_object:
            raise ValueError(f"A BertConfig needs vocab_size. Received: {sorted(json_object)}")
        values = {key: value for key, value in json_object.items() if key in known}
        return cls(**values, unknown_keys=unknown)

    @classmethod
    def from_json_file(cls, json_file: str) -> "BertConfig":
        """Reads a `bert_config.json`; `json_file` may be any path that TensorFlow can open."""
        json_object = read_json(json_file, dict)
        try:
            return cls.from_dict(json_object)
        except ValueError as error:
            raise ValueError(f"{json_file}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """The config as a dict that `from_dict` turns back into it."""
        values = dataclasses.asdict(self)
        for field in dataclasses.fields(self):
            if field.name in _ONLY_IF_SET and values[field.name] == field.default:
                del values[field.name]
        return {**values.pop("unknown_keys"), **values}

    def to_json_string(self) -> str:
        """The config as the text of a `bert_config.json`: sorted keys, two spaces, a newline."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"


def model_type_of(json_object: dict[str, Any]) -> str:
    """Returns the `model_type` of a configuration; google-research's files have none."""
    is_albert = any(name in json_object for name in ("num_hidden_groups", "inner_group_num"))
    return json_object.get("model_type", "albert" if is_albert else "bert")


def check_architecture(json_object: dict[str, Any]) -> None:
    """Raises a ValueError for a configuration of another architecture, with the keys that tell."""
    model_type = model_type_of(json_object)
    others = [name for name in json_object if name in _OTHER_ARCHITECTURES]
    if model_type not in MODEL_TYPES:
        found = f"model_type {model_type!r}"
    elif others:
        found = ", ".join(f"{name} ({_OTHER_ARCHITECTURES[name]})" for name in others)
    else:
        return
    raise ValueError(
        f"This is the configuration of another architecture: {found}. "
        f"Supported: {', '.join(MODEL_TYPES)}."
    )


def generator_config(config: BertConfig) -> BertConfig:
    """Returns the configuration of the generator of an ELECTRA.

    Its width is the fraction `generator_hidden_size` of H, its depth `generator_layers` of the
    layers; a head has 64 columns at least, and the feed-forward layer four times the width.

    Raises a ValueError if the width is no multiple of the number of heads.

    Source: google-research/electra, pretrain/pretrain_helpers.py, `get_generator_config`.
    """
    width = round(config.hidden_size * (config.generator_hidden_size or _GENERATOR_SIZE))
    layers = round(config.num_hidden_layers * (config.generator_layers or _GENERATOR_LAYERS))
    try:
        return dataclasses.replace(
            config,
            embedding_size=config.embedding_size or config.hidden_size,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=max(1, width // _GENERATOR_HEAD_SIZE),
            intermediate_size=4 * width,
            generator_hidden_size=0.0,
            generator_layers=0.0,
            gelu_pooler=False,
        )
    except ValueError as error:
        raise ValueError(
            f"The generator that generator_hidden_size={config.generator_hidden_size} and "
            f"generator_layers={config.generator_layers} ask for: {error}"
        ) from error


def check_vocabulary_size(
    num_tokens: int, vocab_file: str, vocab_size: int, bert_config_file: str
) -> None:
    """Raises a ValueError if the size of a vocabulary does not fit the model's word embeddings."""
    if not vocab_size - _MAX_UNUSED_ROWS <= num_tokens <= vocab_size:
        raise ValueError(
            f"{vocab_file} has {num_tokens} rows, the model's word embeddings have {vocab_size} "
            f"(vocab_size in {bert_config_file}): it is another vocabulary than the model's. Give "
            f"the model's own, or for a new model set vocab_size to {num_tokens}."
        )


def is_address(host: str) -> bool:
    """Returns whether this is host:port, with a name, an IPv4 or an [IPv6] address."""
    match = re.fullmatch(r"(?:[^\s:/]+|\[[0-9a-fA-F:]+\]):([0-9]{1,5})", host)
    return match is not None and 0 < int(match[1]) < 1 << 16


def check_range(name: str, value: float, interval: str) -> None:
    """Raises a ValueError unless `value` is a number in `interval`, such as "[0, 1)"."""
    low, high = map(float, interval[1:-1].split(","))
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    above = is_number and (value > low or (interval[0] == "[" and value == low))
    below = is_number and (value < high or (interval[-1] == "]" and value == high))
    if not (above and below):
        raise ValueError(f"{name} must be a number in {interval}. Received: {value!r}")


def read_json(path: str, form: Any = object) -> Any:
    """Parses a JSON file from the local disk, or from any file system TensorFlow knows.

    Raises a ValueError with the path and the place if it is not JSON in UTF-8, or has another form
    (see `check_form`).
    """
    with files.naming_damage(path), files.open_file(path) as file:
        head = file.read(files.HEAD_BYTES)
        files.refuse_other_kinds(path, "JSON", head)
        content = parse_json(path, head + file.read())
        check_form(path, content, form)
        return content


def write_json(path: str, content: Any, indent: int | None = 2, sort_keys: bool = False) -> None:
    """Writes a JSON file, complete or not at all."""
    text = json.dumps(content, indent=indent, sort_keys=sort_keys, ensure_ascii=False)
    with files.atomic_write(path, "w") as file:
        file.write(text + "\n")


def parse_json(path: str, text: str | bytes) -> Any:
    """Parses the text of a file as `read_json` does."""
    with files.naming_damage(path):
        try:
            text = text.decode("utf-8") if isinstance(text, bytes) else text
            return json.loads(text, object_pairs_hook=unique_keys)
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 at byte {error.start}.") from error
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{path}:{error.lineno}: not JSON: {error.msg} (column {error.colno})."
            ) from error


def hint_of_array(line: str) -> str:
    """Returns what to do with a JSON array where JSON lines are needed; "" if it is none."""
    hint = " Write the objects of an array on a line each: jq -c '.[]' OLD > NEW."
    return hint if line.lstrip().startswith("[") else ""


def check_form(path: str, value: Any, form: Any, place: str = "") -> None:
    """Raises a ValueError, with the place, if a JSON value has another form.

    A form is a type; a union such as `str | None`, for what may be missing; [the form of each
    item]; {key: form of its value}; or {str: form of all values}.
    """
    kind = type(form) if isinstance(form, (list, dict)) else form
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        what = getattr(kind, "__name__", str(kind))
        name = {"dict": "a JSON object", "list": "a list", "str": "a text", "int": "a whole number"}
        raise ValueError(
            f"{path}: {place or 'its content'} must be {name.get(what, what)}. "
            f"Received: {value!r:.80}"
        )
    items: list[tuple[str, Any, Any]] = []
    if isinstance(form, list):
        items = [(f"{place}[{number}]", item, form[0]) for number, item in enumerate(value)]
    elif isinstance(form, dict):
        forms = dict.fromkeys(value, form[str]) if str in form else form
        items = [(f"{place}.{key}".lstrip("."), value.get(key), forms[key]) for key in forms]
    for inner, item, its_form in items:
        check_form(path, item, its_form, inner)


def unique_keys(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Returns a dict of a JSON object's pairs, or raises a ValueError if a key is there twice."""
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(
                f"an object has the key {key!r} twice: {result[key]!r:.40} and {value!r:.40}"
            )
        result[key] = value
    return result
