"""A private Redis on loopback, which keeps nothing on disk, gone when stopped."""

from typing import Self

import redis

from testbed import packages
from testbed.processes import Process, Scratch, free_port, spawn

_START_TIMEOUT = 30.0


class Redis:
    """Raises Unavailable when it cannot be had here."""

    def __init__(self) -> None:
        self.port = free_port()
        self.version = ""
        self._scratch: Scratch | None = None
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._scratch = Scratch("redis")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._scratch:
            self._scratch.remove()

    def start(self) -> None:
        assert self._scratch
        root = packages.unpacked("redis-server")
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._scratch.path)]
        program = packages.command(root, "usr/bin/redis-server")
        self._process = spawn("redis", [*program, *options], self._scratch.path)
        self._process.wait_until(self._ready, _START_TIMEOUT)

    def stop(self) -> None:
        if self._process:
            self._process.stop()

    def _ready(self) -> bool:
        try:
            with redis.Redis(port=self.port) as client:
                self.version = str(client.info("server")["redis_version"])
        except redis.RedisError:
            return False
        return True
