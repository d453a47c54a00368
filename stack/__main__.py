"""`python -m stack`: starts it, says where everything is, runs until Ctrl-C."""

import argparse
import os
import signal
import sys

from stack import Stack
from testbed import Unavailable


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stack", description=sys.modules["stack"].__doc__)
    parser.add_argument("--port", type=int, default=8080, help="nginx's (default 8080)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = {name: value for name, value in os.environ.items() if name.startswith("CMP_")}
    try:
        with Stack(arguments.port, settings=settings) as stack:
            _say(stack)
            signal.pause()
    except KeyboardInterrupt:
        print("stopped")
    except Unavailable as reason:
        print(f"stack: {reason}", file=sys.stderr)
        return 1
    return 0


def _say(stack: Stack) -> None:
    pids = {"API": stack.apis, "workers": stack.workers}
    lines = [
        f"CMP         {stack.url}  (API description: {stack.url}/docs)",
        f"Prometheus  {stack.prometheus.url}/alerts",
        f"PostgreSQL  127.0.0.1:{stack.database.port}, {stack.database.version}",
        f"Redis       {stack.redis.url}, {stack.redis.version}",
        *(f"{name:11} processes {', '.join(str(process.pid) for process in of)}" for name, of in pids.items()),
        f"logs        {stack.apis[0].log.parent}",
        f"admin token {stack.token_file}",
        f'First request: curl -H "Authorization: Bearer $(cat {stack.token_file})" {stack.url}/api/v1/users/me',
        "Ctrl-C stops it, and all that it kept is gone.",
    ]
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main())
