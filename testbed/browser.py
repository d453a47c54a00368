"""A real browser: Debian's Chromium without a window, unpacked and not installed, driven by Playwright."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from testbed import packages
from testbed.processes import Scratch

_PACKAGE = "chromium-headless-shell"
_FONT = "fonts-dejavu-core"


@contextmanager
def running() -> Iterator[Browser]:
    """Raises Unavailable when it cannot be had here."""
    root = packages.unpacked(_PACKAGE, None, _FONT)
    scratch = Scratch("browser")
    try:
        yield from _running(root, scratch.path)
    finally:
        scratch.remove()


def _running(root: Path, scratch: Path) -> Iterator[Browser]:
    fonts = scratch / "fonts.conf"
    # What the machine has already, apt does not fetch again.
    folders = "".join(f"<dir>{top}/usr/share/fonts</dir>" for top in (root, ""))
    fonts.write_text(f"<fontconfig>{folders}<cachedir>{scratch}</cachedir></fontconfig>")
    libraries = [str(path) for path in root.glob("usr/lib/*-linux-gnu*")]
    libraries += [str(path) for path in root.glob("usr/lib/*-linux-gnu*/*") if path.is_dir()]
    environment: dict[str, str | float | bool] = {
        **os.environ,
        "LD_LIBRARY_PATH": ":".join(libraries),
        "FONTCONFIG_FILE": str(fonts),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=root / "usr/lib/chromium" / _PACKAGE,
            # As root there is no sandbox to be had; only our own pages are opened.
            args=["--no-sandbox"] if os.getuid() == 0 else [],
            env=environment,
        )
        try:
            yield browser
        finally:
            browser.close()
