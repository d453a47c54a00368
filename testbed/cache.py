"""Where built and downloaded binaries are kept between runs: outside the repository, safe for several runs at once."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def directory() -> Path:
    """`$XDG_CACHE_HOME/cmp-testbed`, by default below `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cmp-testbed"


def shared_directory() -> Path:
    """For what servers run from as another user: root's home is closed to them."""
    return Path("/var/cache/cmp-testbed") if os.getuid() == 0 else directory()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait until no other process works on `folder`; it is made when missing."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
