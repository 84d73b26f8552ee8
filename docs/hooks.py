"""Sphinx's roles in docstrings, which people know, as plain code on the site."""

import re
from typing import Any


def on_page_content(html: str, **_: Any) -> str:
    """A page's HTML without the names of roles."""
    return re.sub(r':(?:class|meth|func|attr|mod|data):(?=<code>)', '', html)
