from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from limo.spelling import meant, near

NAMES = ["epochs", "steps", "global_batch", "micro_batch", "max_length", "lr", "weight_decay", "selection", "size"]


@given(st.sampled_from([name for name in NAMES if len(name) > 3]), st.data())
def test_two_letters_that_changed_places_leave_the_name_the_nearest(name: str, data: st.DataObject) -> None:
    i = data.draw(st.integers(0, len(name) - 2))
    wrong = name[:i] + name[i + 1] + name[i] + name[i + 2 :]
    assert near(wrong, NAMES)[0] == name


@given(st.text(max_size=12), st.lists(st.text(max_size=12)))
def test_only_known_names_are_proposed_and_few_of_them(wrong: str, names: list[str]) -> None:
    found = near(wrong, names)
    assert set(found) <= set(names) and len(found) == len(set(found)) <= 3


def test_initials_and_shared_words_count_and_nothing_is_said_where_nothing_is_near() -> None:
    assert meant("learning_rate", NAMES, "optimizer.{}") == "; did you mean optimizer.lr?"
    assert meant("batch_size", NAMES) == "; did you mean global_batch or micro_batch or size?"
    assert meant("xyzzy", NAMES) == ""
