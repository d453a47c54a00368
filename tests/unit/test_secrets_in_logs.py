"""What looks after the logs must itself find something."""

import pytest

from app import auth
from tests.secrets_in_logs import found_in


@pytest.mark.parametrize(
    "prefix", [auth.TOKEN_PREFIX, auth.SESSION_PREFIX, auth.REFRESH_PREFIX, auth.CLIENT_PREFIX, auth.DEVICE_PREFIX]
)
def test_each_secret_of_ours_is_found(prefix: str) -> None:
    assert found_in(f"said {auth.new_secret(prefix)} aloud") is not None
    assert found_in(f"said {prefix}hint...abcd aloud") is None


def test_a_test_that_prints_a_secret_fails(pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    pytester.makepyfile(
        """
        def test_quiet(): print("nothing")
        def test_loud(): print("cmp_pat_" + "x" * 43)
        """
    )
    options = ("-p", "tests.secrets_in_logs", "-p", "no:cacheprovider", "-p", "no:asyncio")
    pytester.runpytest(*options).assert_outcomes(passed=2, errors=1)
    capsys.readouterr()  # or this test would be found out itself
