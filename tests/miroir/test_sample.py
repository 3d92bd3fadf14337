"""How much a verification looks at, as it is typed."""

import pytest

from agents.shard_sample import Sample
from miroir.sample import parse_sample


@pytest.mark.parametrize(
    ("text", "sample"),
    [
        ("100", Sample(documents=100, seed=7)),
        ("0.25", Sample(share=0.25, seed=7)),
        ("1.0", Sample(share=1.0, seed=7)),
        ("5%", Sample(share=0.05, seed=7)),
    ],
)
def test_sample_is_a_number_or_a_share(text: str, sample: Sample) -> None:
    """As it is typed."""
    assert parse_sample(text, seed=7) == sample


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "0%", "101%", "many", "nan", "%", "\u0661"])
def test_other_text_is_refused_with_what_was_expected(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="expected a number of documents"):
        parse_sample(text, seed=0)
