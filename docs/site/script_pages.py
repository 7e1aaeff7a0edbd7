"""Reference pages of the scripts: every flag with its default and help, from its definition.

As a program it prints one script's flags as JSON, in a process of its own, because all scripts
define flags of the same names:

    python docs/site/script_pages.py run_scripts/fill_mask.py
"""

import dataclasses
import inspect
import json
import re
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def script_pages(repository: Path, page_names: set[str]) -> dict[str, str]:
    """Returns the page of each script by its name, and `index`.

    Args:
        repository: the checkout.
        page_names: the pages of docs/, to which the scripts' texts refer.
    """
    scripts = [
        path
        for path in sorted((repository / "run_scripts").glob("*.py"))
        if "command_line.run(main" in path.read_text(encoding="utf-8")
    ]
    sys.path.insert(0, str(repository / "run_scripts"))
    import console

    words = {script: word for word, script in console._SCRIPTS.items()}
    with ThreadPoolExecutor(2) as threads:
        found = threads.map(_read_flags, scripts)
    pages, lines = {}, []
    for path, described in zip(scripts, found, strict=True):
        name = path.stem
        pages[name] = _page(name, words.get(name), described, page_names)
        lines.append(f"- [{path.name}]({name}.md): {described['about'].partition(chr(10))[0]}")
    pages["index"] = "\n".join(
        [
            "# Scripts and flags",
            "",
            "Generated from the definitions of the flags. The same is printed by `--help`; "
            "`--helpfull` adds those of absl, such as `--flagfile=FILE`, which reads flags from a "
            "file. With the package installed, `bert-tf COMMAND` runs the same scripts.",
            "",
            *lines,
            "",
            "```{toctree}",
            ":hidden:",
            "",
            *(f"{name}.py <{name}>" for name in pages),
            "```",
            "",
        ]
    )
    return pages


def _page(name: str, word: str | None, described: dict, page_names: set[str]) -> str:
    lines = [f"# {name}.py", ""]
    if word:
        lines += [f"Also `bert-tf {word}`.", ""]
    lines += [_as_markdown(described["about"], page_names)]
    for group in described["groups"]:
        # Anchors are made from the program's name; tasks share names of options.
        lines += ["", f"## {group['title']}", "", f"```{{program}} {name}{group['scope']}", "```"]
        for flag in group["flags"]:
            lines += ["", *_option(flag, page_names)]
    return "\n".join([*lines, ""])


def _option(flag: dict, page_names: set[str]) -> list[str]:
    default, text = flag["default"], _as_markdown(flag["help"], page_names)
    is_switch = isinstance(default, bool)
    if flag["choices"]:
        text += f" One of: {', '.join(flag['choices'])}."
    if flag["needed"]:
        text += f" **Needed{flag['unless']}.**"
    elif default is True:
        text += f" Default: `true`; `--no{flag['name']}` switches it off."
    elif is_switch:
        text += " Default: `false`."
    elif default not in (None, "", []):
        text += f" Default: `{','.join(default) if isinstance(default, list) else default}`."
    value = "" if is_switch else f"={flag['type']}"
    return [f"````{{option}} --{flag['name']}{value}", "", text, "````"]


def _as_markdown(text: str, page_names: set[str]) -> str:
    """Returns a docstring or help as Markdown: fenced commands, code for flags, links to pages."""
    parts = re.split(r"((?:^(?: {4}.*)?\n)*^ {4}.*$)", text, flags=re.MULTILINE)
    return "\n".join(
        f"\n```bash\n{inspect.cleandoc(part)}\n```\n" if index % 2 else _paragraph(part, page_names)
        for index, part in enumerate(parts)
    ).strip()


def _paragraph(text: str, page_names: set[str]) -> str:
    def linked(match: re.Match) -> str:
        name = match[1]
        return f"[{name}](../../{name}.md)" if name in page_names else match[0]

    parts = re.split(r"(`[^`]*`)", text)
    for index in range(0, len(parts), 2):
        part = re.sub(r"\bdocs/(\w+)\.md\b", linked, parts[index])
        part = re.sub(r"(?<![\w`/])(--\[?\w[\w\]]*(?:=[^\s,;)]*[^\s,;:.)])?)", r"`\1`", part)
        parts[index] = re.sub(r"([*<])", r"\\\1", part)
    return "".join(parts)


def _read_flags(script: Path) -> dict:
    command = [sys.executable, __file__, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{script}: its flags cannot be read.\n{done.stderr}")
    return json.loads(done.stdout)


def _print_flags(script: str) -> None:
    sys.path.insert(0, str(Path(script).resolve().parent))
    sys.argv = [script]
    module = runpy.run_path(script, run_name="flags")
    import command_line
    import flag_help
    from absl import flags

    needed = command_line.needed_flags()
    groups = [
        {
            "title": f"{title[0].upper()}{title[1:]}",
            "scope": "",
            "flags": [_described(flags.FLAGS[name], name in needed) for name in names],
        }
        for title, names in flag_help.grouped_flags(needed).items()
    ]
    if Path(script).stem == "finetune":
        groups += _options_of_tasks()
    print(json.dumps({"about": inspect.cleandoc(module["__doc__"]), "groups": groups}))


def _described(flag, is_needed: bool) -> dict:
    import flag_help

    kind = flag.parser.flag_type()
    types = {"int": "INTEGER", "float": "NUMBER"}
    return {
        "name": flag.name,
        "type": types.get(kind, "LIST" if "list" in kind else "TEXT"),
        "default": flag.default if not flag.boolean else bool(flag.default),
        "choices": list(getattr(flag.parser, "enum_values", [])),
        "help": flag.help,
        "needed": is_needed,
        "unless": flag_help.unless_model(flag.name),
    }


def _options_of_tasks() -> list[dict]:
    """Returns a group for the options of each module of tasks."""
    from bert_tf.tasks.task import options_of, task_names

    modules: dict[str, list[str]] = {}
    for name in task_names():
        modules.setdefault(name.partition(":")[0], []).append(name)
    return [
        {
            "title": f"With `--task={names[0]}`" + (" and the other variants" if names[1:] else ""),
            "scope": f"-{module}",
            "flags": [_option_of_task(field) for field in options_of(names[0])],
        }
        for module, names in modules.items()
    ]


def _option_of_task(field: dataclasses.Field) -> dict:
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    kinds = {int: "INTEGER", float: "NUMBER", list: "LIST"}
    return {
        "name": field.name,
        "type": kinds.get(type(default), "TEXT"),
        "default": default,
        "choices": [],  # The help has them.
        "help": field.metadata["help"],
        "needed": False,
        "unless": "",
    }


if __name__ == "__main__":
    _print_flags(sys.argv[1])
