"""Whether time tells a token that CMP once knew (it has ended) from one it never knew: both answers are 401.

Prints how likely a sample of the one is slower than one of the other (0.5: nothing to tell), with its 95 % interval,
and the same of two groups of unknown tokens, asked in the same breath, as the reference.
"""

import asyncio
import random
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import sqlalchemy as sa
from pydantic import SecretStr

from app import auth
from app.models import ApiToken
from app.settings import Settings
from main import create_app, running

SAMPLES = 2000


async def measure() -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        url = SecretStr(f"sqlite+aiosqlite:///{data / 'cmp.sqlite3'}")
        settings = Settings(worker="separate", data_dir=data, database_url=url, rate_address=0, rate_token=0)
        app = create_app(settings)
        async with running(app):
            known = (data / "admin-token").read_text().strip()
            ended = sa.update(ApiToken).values(expires_at=datetime.now(UTC) - timedelta(days=1))
            await app.state.cmp.database.run(lambda session: session.execute(ended))
            tokens = {"ended": lambda: known, "unknown": auth.new_token, "unknown too": auth.new_token}
            taken: dict[str, list[float]] = {name: [] for name in tokens}
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cmp") as http:
                for _ in range(SAMPLES):
                    for name in random.sample(list(tokens), len(tokens)):
                        headers = {"Authorization": f"Bearer {tokens[name]()}"}
                        began = time.perf_counter()
                        answer = await http.get("/api/v1/users/me", headers=headers)
                        taken[name].append(time.perf_counter() - began)
                        assert answer.status_code == 401
            return taken


def slower(one: list[float], other: list[float]) -> tuple[float, float]:
    """P(a sample of `one` > one of `other`), by ranks, and half the width of its 95 % interval."""
    ranked = sorted((value, group) for group, values in enumerate((one, other)) for value in values)
    ranks = sum(rank for rank, (_, group) in enumerate(ranked, 1) if group == 0)
    n, m = len(one), len(other)
    probability = (ranks - n * (n + 1) / 2) / (n * m)
    return probability, 1.96 * ((n + m + 1) / (12 * n * m)) ** 0.5


def main() -> None:
    taken = asyncio.run(measure())
    for name, values in taken.items():
        print(f"{name:12} median {statistics.median(values) * 1e6:.0f} microseconds of {len(values)}")
    for one in ("ended", "unknown too"):
        probability, half = slower(taken[one], taken["unknown"])
        print(f"{one} slower than unknown: {probability:.3f} (nothing to tell: 0.5 within {half:.3f})")


if __name__ == "__main__":
    main()
