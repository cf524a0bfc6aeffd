"""The sentences that people read: all of them in one golden file, and none with a word that hides its subject."""

import pytest

from tests.unit.sentences import FORBIDDEN, GOLDEN, REWRITE, all_problems, collected, problems


def test_the_golden_file_holds_every_sentence() -> None:
    stored = GOLDEN.read_text("utf-8").splitlines()
    assert collected().splitlines() == stored, f"sentences have changed; review the diff after `{REWRITE}`"


def test_no_sentence_contains_a_forbidden_word() -> None:
    assert not (found := all_problems()), "\n".join(found)


PLANTED = {
    "nobody": "Nobody was moved.",
    "somebody": "It was somebody in the portal.",
    "someone": "Ask someone.",
    "whoever": "It is for whoever waits.",
    "anew": "The disk is made anew.",
    "once more": "It is looked at once more.",
    "heed": "An abort is heeded.",
    "mend": "Mend it, then retry.",
    "give again": "The engine gives again late.",
    "stands twice": "The key stands twice.",
    "speaks against": "Nothing speaks against it.",
    "led": "The customers are led there.",
}


@pytest.mark.parametrize("sentence", PLANTED.values(), ids=PLANTED)
@pytest.mark.parametrize(
    "source",
    ["x = 1\nsaid = {0!r}\n", "x = 1\nsaid = f'{{x}} ' {0!r}\n", "def f():\n    '''{0}'''\n", "x = 1\n# {0}\n"],
    ids=["string", "f-string", "docstring", "comment"],
)
def test_a_forbidden_word_is_found_with_its_place(source: str, sentence: str) -> None:
    found = problems("shared/planted.py", source.format(sentence))
    assert [hit.startswith("shared/planted.py:2: ") for hit in found] == [True]


def test_a_forbidden_pair_of_words_is_found_across_lines() -> None:
    assert problems("a.py", '"""First line.\n\nIt is done once\nmore."""\n')[0].startswith("a.py:3: 'once more'")


@pytest.mark.parametrize("source", ["nobody = 1\n", "PEOPLE = {'nobody': []}\n", "# recommended, called, needed\n"])
def test_names_and_longer_words_are_no_hits(source: str) -> None:
    assert problems("a.py", source) == []


def test_every_forbidden_word_is_planted() -> None:
    found = {hit.rsplit(": ", 1)[1] for sentence in PLANTED.values() for hit in problems("a.py", f"# {sentence}\n")}
    assert len(found) == len(FORBIDDEN), set(FORBIDDEN.values()) - found
