"""Every reason has words, a remedy and a patience."""

import pytest

from app.models import Reason
from app.rules import reasons


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained(reason: Reason) -> None:
    explanation = reasons.EXPLANATIONS[reason]
    assert explanation.words[0].isupper()
    assert not explanation.words.endswith(".")
    assert explanation.remedy
    assert explanation.patience >= 0
    said = reasons.explain(reason, "the registry said: not found.")
    assert said is not None
    assert said == f"{explanation.words} (the registry said: not found): {explanation.remedy}."


def test_nothing_beyond_the_reasons_is_explained() -> None:
    assert set(reasons.EXPLANATIONS) == set(Reason)
    assert len({explanation.words for explanation in reasons.EXPLANATIONS.values()}) == len(Reason)


def test_without_a_reason_the_detail_stands_alone_and_a_long_one_is_cut() -> None:
    assert reasons.explain(None) is None
    assert reasons.explain(None, "as it is") == "as it is"
    cut = reasons.explain(Reason.REJECTED, "x" * 5000)
    assert cut is not None
    assert len(cut) == 1024
