"""The languages a search may name."""

from query.locales import LOCALES


def test_locales_are_two_letter_codes_then_three_letter_codes() -> None:
    """The list is Meilisearch's: each code once, short ones first."""
    lengths = [len(locale) for locale in LOCALES]

    assert lengths == sorted(lengths)
    assert set(lengths) == {2, 3}
    assert len(set(LOCALES)) == len(LOCALES)
