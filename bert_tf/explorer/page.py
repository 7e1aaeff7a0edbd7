"""The explorer's page, whose policy forbids requests abroad; and pages that hold one answer.

`page.html` is one file with its style and script. A policy names these two by their digest, so a
browser runs no other script, and loads nothing from anywhere.
"""

import base64
import hashlib
import importlib.resources
import json
import re
from typing import Any

_SAVED = '<script type="application/json" id="saved">null</script>'
_HEAD = '<meta charset="utf-8">\n'


def live_page() -> str:
    """Returns the page that asks its server."""
    return importlib.resources.files(__package__).joinpath("page.html").read_text("utf-8")


def policy(connects: bool) -> str:
    """Returns the Content-Security-Policy of the page.

    Args:
        connects: whether the page may make requests to its own server; to others it never may.
    """
    page = live_page()
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    parts = {
        "default-src": "'none'",
        "script-src": f"'sha256-{_digest(script)}'",
        "style-src": f"'sha256-{_digest(style)}'",
        "img-src": "data:",  # The empty icon.
        "connect-src": "'self'" if connects else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in parts.items())


def saved_page(saved: dict[str, Any]) -> str:
    """Returns a page that shows one answer by itself, opened from a file.

    Args:
        saved: `model`, as `Explorer.description`; `panel`; its `inputs`; the `answer`.
    """
    # In a script element, only "<" could end it.
    text = json.dumps(saved, allow_nan=False).replace("<", "\\u003c")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy(connects=False)}">\n'
    page = live_page()
    assert page.count(_SAVED) == page.count(_HEAD) == 1
    return page.replace(_HEAD, _HEAD + meta).replace(_SAVED, _SAVED.replace("null", text))


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
