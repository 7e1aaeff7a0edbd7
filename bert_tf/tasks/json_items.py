"""Reads objects in JSON files and JSON lines, and says where one has another form than needed."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from bert_tf import files
from bert_tf.config import hint_of_array, parse_json

_KINDS = {
    list: "a list",
    dict: "an object",
    bool: "true or false",
    int: "a whole number",
    str: "a text",
}


class JsonItem(NamedTuple):
    """A part of a JSON file and its place: `data[0].paragraphs[3]`."""

    content: Any
    path: str  # Of the file, or `file:line` of a line.
    place: str = ""
    whole: str = "the file"  # What it is if it has no place.

    def field(self, name: str, *types: type) -> Any:
        """Returns a field, which must exist and be of one of these types."""
        is_object = isinstance(self.content, dict)
        if is_object and type(self.content.get(name)) in types:
            return self.content[name]
        place, received = self.place or self.whole, f"{self.content!r:.60}"
        if is_object:
            received = f"{self.content[name]!r:.60}" if name in self.content else "nothing"
            place += f" (question {self.content['id']})" if "id" in self.content else ""
        raise ValueError(
            f"{self.path}: {place} must be an object whose {name!r} is {_KINDS[types[0]]}. "
            f"Received: {received}"
        )

    def item(self, name: str) -> "JsonItem":
        """Returns an object in a field."""
        return JsonItem(self.field(name, dict), self.path, self._inner(name))

    def items(self, name: str) -> Iterator["JsonItem"]:
        """Yields the items of the list in a field."""
        for number, content in enumerate(self.field(name, list)):
            yield JsonItem(content, self.path, self._inner(f"{name}[{number}]"))

    def _inner(self, name: str) -> str:
        return f"{self.place}.{name}".removeprefix(".")


def read_json_lines(path: str) -> Iterator[JsonItem]:
    """Yields the object of each line, but for empty ones.

    Raises a ValueError with file and line for invalid UTF-8, gzip and JSON.
    """
    for number, line in enumerate(files.open_text_lines(path, wanted="JSON"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        if hint := hint_of_array(line):
            raise ValueError(f"{where}: each line must be a JSON object.{hint}")
        yield JsonItem(parse_json(where, line), where, whole="the line")
