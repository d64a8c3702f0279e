"""What a chapter says of stored runs is what their rows hold, seed by seed."""

import json

import pytest

from course_lib.show.stored_runs import DASH, StoredRuns


@pytest.fixture
def runs(tmp_path):
    def row(name, seed, share, **more):
        return {"kind": "table", "name": name, "seed": seed, "share": share} | more

    rows = [row("b", 1, 0.4), row("a", 1, 0.214, nats=90.04), row("a", 0, 0.032, nats=89.96), row("b", 0, 0.05)]
    rows += [{"kind": "other", "name": "a", "seed": 0, "share": 1.0}, row("c", 0, 0.1)]
    path = tmp_path / "runs.json"
    path.write_text(json.dumps({"rows": rows}), "utf-8")
    return StoredRuns(path)


def test_values_come_by_seed_and_from_their_kind_alone(runs):
    assert runs.of("table", "a", "share") == [0.032, 0.214]
    assert runs.of("table", "a", lambda row: row["nats"] - 1) == pytest.approx([88.96, 89.04])
    assert runs.of("other", "a", "share") == [1.0]


def test_a_span_goes_from_the_least_to_the_most(runs):
    assert runs.span("table", "a", "share", "%") == "3 to 21"
    assert runs.span("table", "a", "nats") == "90.0", "one number where both are written alike"
    assert runs.span("table", "a", "nats", ".2f") == "89.96 to 90.04"
    assert runs.cell("table", "a", "nats", ".2f") == f"89.96{DASH}90.04" and runs.cell("table", "a", "nats") == "90.0"


def test_a_table_leaves_empty_what_is_not_measured(runs):
    columns = {"share": "%", "nats": ".0f"}
    assert runs.table("table", ["a", "b"], columns) == [["a", f"3{DASH}21", "90"], ["b", f"5{DASH}40", ""]]
    assert runs.table("table", {"a": "first"}, {"nats": ".0f"}) == [["first", "90"]]


def test_a_number_that_is_written_as_0_has_no_sign_and_others_a_minus(tmp_path):
    rows = [{"kind": "k", "name": "n", "seed": seed, "x": x} for seed, x in enumerate((-0.01, 0.3, -1.2))]
    path = tmp_path / "runs.json"
    path.write_text(json.dumps({"rows": rows[:2]}), "utf-8")
    assert StoredRuns(path).span("k", "n", "x") == "0.0 to 0.3"
    path.write_text(json.dumps({"rows": rows}), "utf-8")
    assert StoredRuns(path).span("k", "n", "x") == "−1.2 to 0.3"


def test_two_rows_of_one_seed_are_refused(tmp_path):
    row = {"kind": "k", "name": "n", "seed": 0, "x": 1}
    path = tmp_path / "runs.json"
    path.write_text(json.dumps({"rows": [row, row]}), "utf-8")
    with pytest.raises(ValueError, match="kind 'k', name 'n': expected one row a seed, got two"):
        StoredRuns(path).of("k", "n", "x")


def test_below_is_asked_of_each_seed(runs):
    assert runs.below("table", "a", "b", "share") and not runs.below("table", "b", "a", "share")
    assert runs.below("table", "a", "b", "share", 0.65) and not runs.below("table", "a", "b", "share", 0.6)
    with pytest.raises(ValueError, match=r"expected the same seeds of 'a' and 'c', got \[0, 1\] and \[0\]"):
        runs.below("table", "a", "c", "share")


def test_what_is_not_there_is_said(runs):
    with pytest.raises(KeyError, match="no rows of kind 'table' and name 'd'; names of this kind: a, b, c"):
        runs.of("table", "d", "share")
    with pytest.raises(KeyError, match="nats"):
        runs.of("table", "b", "nats")


def test_where_keeps_the_rows_that_hold_the_values(runs):
    assert runs.where(kind="table", seed=1).of("table", "a", "share") == [0.214]
    assert len(runs.where(nats=90.04).rows) == 1 and len(runs.rows) == 6, "the others stay"
    with pytest.raises(KeyError, match="no rows where"):
        runs.where(seed=7)
