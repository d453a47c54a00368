"""The documentation site: `make site` builds it with Sphinx into dist/site. docs/adr/0054-the-documentation-site.md."""

import re
from pathlib import Path

_PROJECT = (Path(__file__).parents[1] / "pyproject.toml").read_text()

project = "CMP"
version = release = re.search(r'^version = "(.*)"', _PROJECT, re.MULTILINE)[1]  # type: ignore[index]
extensions = ["myst_parser"]
exclude_patterns = ["README.md"]
suppress_warnings = ["misc.highlighting_failure", "toc.not_included"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = f"CMP {version}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
