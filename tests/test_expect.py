"""What the doors of public functions say to one wrong thing after another; what is right passes without a word."""

import numpy as np
import pytest
import torch

from course_lib.device import make_generator
from course_lib.expect import (
    expect_bools,
    expect_count,
    expect_floats,
    expect_generator,
    expect_levels,
    expect_one_of,
    expect_tensor,
    fits,
)


class Elsewhere(torch.Generator):
    """A generator that says it lives on a GPU; not every machine has one to make a real one with."""

    device = torch.device("cuda", 0)


RIGHT = {
    "floats": (expect_floats, "x", torch.zeros(4, 2), ("B", 2)),
    "half floats": (expect_floats, "x", torch.zeros(4, 2).half(), (4, 2)),
    "none": (expect_floats, "x", torch.zeros(0, 2), ("B", 2)),
    "levels": (expect_levels, "x", torch.tensor([0, 2]), ("B",), 3),
    "no levels": (expect_levels, "x", torch.zeros(0, dtype=torch.long), ("B",), 3),
    "bools": (expect_bools, "seen", torch.tensor([True, False])),
    "no bools": (expect_bools, "seen", torch.tensor([]).bool()),
    "one": (expect_count, "n", 1),
    "the least": (expect_count, "n", 0, 0),
    "many": (expect_count, "n", 10**12, 2),
    "a generator": (expect_generator, make_generator(0)),
    "a generator on the CPU": (lambda g: expect_generator(g, on_cpu=True), make_generator(0)),
    "a generator elsewhere": (expect_generator, Elsewhere()),
    "an option": (expect_one_of, "split", "test", ("train", "test")),
    "a tensor": (expect_tensor, "x", torch.tensor(1)),
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_right_passes(case):
    expect, *given = RIGHT[case]
    assert expect(*given) is None


FLAGS, ZEROS = torch.tensor([1, 0]), torch.zeros(4, 2)


@pytest.mark.parametrize(
    ("expect", "given", "error", "says"),
    [
        (expect_floats, ("x", ZEROS, ("B", 3)), ValueError, r"x: expected shape \(B, 3\), got \(4, 2\)"),
        (expect_floats, ("x", ZEROS, ("B",)), ValueError, r"x: expected shape \(B\), got \(4, 2\)"),
        (expect_floats, ("x", ZEROS.long(), (4, 2)), TypeError, r"torch.int64; x.float\(\) converts it"),
        (expect_floats, ("x", 1.0, ()), TypeError, "x: expected a torch.Tensor, got float"),
        (expect_levels, ("x", FLAGS, ("B", "T"), 2), ValueError, r"x: expected shape \(B, T\), got \(2,\)"),
        (expect_levels, ("x", FLAGS, ("B",), 1), ValueError, "x: expected levels 0 to 0, got 0 to 1"),
        (expect_levels, ("x", -FLAGS, ("B",), 2), ValueError, "x: expected levels 0 to 1, got -1 to 0"),
        (expect_levels, ("x", FLAGS.int(), ("B",), 2), TypeError, r"got torch.int32; x.long\(\) converts"),
        (expect_levels, ("x", [1, 0], ("B",), 2), TypeError, "x: expected a torch.Tensor, got list"),
        (
            expect_bools,
            ("seen", FLAGS),
            TypeError,
            r"seen: expected torch.bool, got torch.int64; seen.bool\(\) is true",
        ),
        (expect_bools, ("seen", True), TypeError, "seen: expected a torch.Tensor, got bool"),
        (expect_count, ("n", 0), ValueError, "n: expected a whole number ≥ 1, got 0"),
        (expect_count, ("n", 1, 2), ValueError, "n: expected a whole number ≥ 2, got 1"),
        (expect_count, ("n", -1, 0), ValueError, "n: expected a whole number ≥ 0, got -1"),
        (expect_count, ("n", 2.0), TypeError, "n: expected a whole number ≥ 1, got float 2.0"),
        (expect_count, ("n", True), TypeError, "n: expected a whole number ≥ 1, got bool True"),
        (expect_count, ("n", "2"), TypeError, "n: expected a whole number ≥ 1, got str '2'"),
        (expect_count, ("n", float("nan")), TypeError, "n: expected a whole number ≥ 1, got float nan"),
        (expect_count, ("n", torch.tensor(2)), TypeError, r"n: expected a whole number ≥ 1, got Tensor tensor\(2\)"),
        (expect_generator, (0,), TypeError, "generator: expected a torch.Generator, got int"),
        (expect_generator, (np.random.default_rng(0),), TypeError, "expected a torch.Generator, got Generator"),
        (expect_one_of, ("a", "c", {"a": 1, "b": 2}), ValueError, "^a: expected one of 'a', 'b', got 'c'$"),
        (expect_one_of, ("a", ["b"], {"a", "b"}), ValueError, r"got \['b'\]$"),
        (expect_tensor, ("x", np.zeros(2)), TypeError, r"got ndarray; torch.as_tensor\(x\) makes one"),
    ],
)
def test_what_is_wrong_is_told_what_was_expected_and_what_came(expect, given, error, says):
    with pytest.raises(error, match=says):
        expect(*given)


def test_a_generator_elsewhere_is_refused_where_the_cpu_is_meant():
    with pytest.raises(ValueError, match=r"generator: expected one on the CPU, got one on cuda:0; .*\.to\(device\)"):
        expect_generator(Elsewhere(), on_cpu=True)
    with pytest.raises(TypeError, match="generator: expected a"):
        expect_generator(0, on_cpu=True)


@pytest.mark.parametrize(
    ("got", "shape", "right"),
    [
        ((), (), True),
        ((3, 2), ("B", 2), True),
        ((3, 2), (3, "D"), True),
        ((3, 2), (2, 3), False),
        ((3,), ("B", 2), False),
        ((3, 2, 1), ("B", 2), False),
    ],
)
def test_a_string_stands_for_any_size(got, shape, right):
    assert fits(got, shape) == right
