"""What is special to a model that writes one character after another: its likelihood is exact, and its samples obey it.

The general contract, with shapes, gradients, disk and bad input, is in test_models.py.
"""

import copy

import pytest
import torch

from course_lib.check import assert_causal
from course_lib.checkpoint import load, save
from course_lib.decode import draw
from course_lib.device import make_generator
from course_lib.models.char_rnn import CharRNN, CharRNNConfig

V, T = 3, 4
EVERY = torch.cartesian_prod(*[torch.arange(V)] * T)  # (81, 4): all sentences of four characters of three
SENTENCES = torch.randint(V, (5, 9), generator=make_generator(0))


def small(depth=1):
    """Small enough to enumerate, and sure enough of itself that its sentences are far from equally likely."""
    model = CharRNN(CharRNNConfig(levels=V, features=8, depth=depth), generator=make_generator(0)).double().eval()
    with torch.no_grad():
        model.head.weight.mul_(6)
    return model


@pytest.fixture(params=[1, 2], ids=["one layer", "two layers"])
def model(request):
    return small(request.param)


def index(x):
    """(N, t) long -> (N,): the place of each sentence among all of its length."""
    return (x * V ** torch.arange(x.shape[1]).flip(0)).sum(1)


def p_value(x, p):
    """How often draws from `p` would be off by as much as `x` is: the tail of chi-square over all sentences."""
    expected = len(x) * p
    assert expected.min() > 5, "chi-square needs about five in every cell"
    chi_square = ((index(x).bincount(minlength=len(p)) - expected) ** 2 / expected).sum()
    return torch.special.gammaincc(torch.tensor((len(p) - 1) / 2).double(), chi_square / 2).item()


@torch.no_grad()
def sample_by_rerunning(model, n, *, length, generator, **settings):
    """The simple way: for each character the network reads everything from the beginning."""
    x = torch.zeros(n, 0, dtype=torch.long)
    for t in range(length):
        logits = model(torch.cat([x, x.new_zeros(n, 1)], 1))[:, t]  # what stands at t itself is not seen
        x = torch.cat([x, draw(logits, generator=generator, **settings)[:, None]], 1)
    return x


# --- what it sees ----------------------------------------------------------------------------------------------


def test_the_logits_at_t_see_exactly_what_was_fed_up_to_t(model):
    fed = []
    model.embed.register_forward_hook(lambda module, inputs, output: fed.append(output))
    x = SENTENCES[:1, :6]
    logits = model(x)
    inputs = fed[0]
    assert torch.equal(inputs[0, 0], model.embed.weight[V]), "first the start token"
    assert torch.equal(inputs[0, 1:], model.embed.weight[x[0, :-1]]), "then x, shifted by one"
    jacobian = torch.stack(
        [
            torch.stack([torch.autograd.grad(logit, inputs, retain_graph=True)[0][0] for logit in position])
            for position in logits[0]
        ]
    )  # (T, V, T, width)
    seen = jacobian.abs().sum((1, 3))  # (T, T): how much the logits at t depend on what was fed at s
    assert (seen.triu(1) == 0).all(), "exactly nothing of what comes later"
    assert (seen[torch.ones(6, 6).tril().bool()] > 0).all(), "and everything before"


def test_it_is_causal_from_outside_too(model):
    assert_causal(model, SENTENCES)


# --- its likelihood is exact -----------------------------------------------------------------------------------


@torch.no_grad()
def test_the_probabilities_of_all_sentences_sum_to_1(model):
    log_p = model.log_prob(EVERY)
    assert log_p.dtype == torch.float64
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-9)
    assert log_p.max() - log_p.min() > 2, "and they are not all alike, or the tests below would say little"


@torch.no_grad()
def test_the_chain_rule_is_the_sum_of_what_each_position_says(model):
    by_hand = torch.zeros(5, dtype=torch.float64)
    for t in range(SENTENCES.shape[1]):
        by_hand += model(SENTENCES)[:, t].log_softmax(1).gather(1, SENTENCES[:, t : t + 1])[:, 0]
    torch.testing.assert_close(model.log_prob(SENTENCES), by_hand, rtol=1e-12, atol=0)
    beginning = model.log_prob(EVERY).exp().view(V**2, -1).sum(1)
    two = torch.cartesian_prod(torch.arange(V), torch.arange(V))
    torch.testing.assert_close(beginning, model.log_prob(two).exp(), rtol=1e-12, atol=0)


# --- its samples obey the likelihood ---------------------------------------------------------------------------

# Below, one seed in a thousand would fail a right sampler; the seeds are fixed, so that it fails never or always.


@torch.no_grad()
def test_samples_come_as_often_as_log_prob_says(model):
    x = model.sample(40_000, length=T, generator=make_generator(1))
    assert p_value(x, model.log_prob(EVERY).exp()) > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("one_for_all", [True, False], ids=["given (T,)", "given (n, T)"])
def test_what_is_given_is_kept_and_the_rest_is_drawn_given_it(model, one_for_all):
    n, beginning = 20_000, torch.tensor([2, 1])
    given = beginning if one_for_all else beginning.expand(n, 2).contiguous()
    x = model.sample(n, length=T, generator=make_generator(2), given=given)
    assert x.shape == (n, T) and (x[:, :2] == beginning).all()
    starts_so = (EVERY[:, :2] == beginning).all(1)
    p = model.log_prob(EVERY).exp()[starts_so]
    assert p_value(x[:, 2:], p / p.sum()) > 1e-3


@torch.no_grad()
def test_every_row_goes_on_from_its_own_beginning(model):
    given = SENTENCES[:, :3]
    x = model.sample(5, length=9, generator=make_generator(0), given=given, temperature=0)
    alone = [model.sample(1, length=9, generator=make_generator(0), given=row, temperature=0) for row in given]
    assert torch.equal(x[:, :3], given)
    assert torch.equal(x, torch.cat(alone))


# --- the state is everything so far ----------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.7}], ids=str)
def test_sampling_with_the_state_is_sampling_by_rerunning(model, settings):
    fast, slow = (
        way(200, length=12, generator=make_generator(3), **settings)
        for way in (model.sample, lambda n, **kw: sample_by_rerunning(model, n, **kw))
    )
    assert torch.equal(fast, slow)  # float64: no draw is so close that the last digit decides


def test_the_work_of_a_character_does_not_grow(model):
    asked = []
    model.lstm.register_forward_hook(lambda module, inputs, output: asked.append(tuple(inputs[0].shape)))
    model.sample(7, length=20, generator=make_generator(0), given=torch.tensor([0, 1]))
    assert asked == [(7, 1, 8)] * 20


# --- manners ---------------------------------------------------------------------------------------------------


def test_the_generator_decides_and_nobody_else_is_disturbed(model):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first, again, other = (model.sample(50, length=6, generator=make_generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.shape == (50, 6) and first.dtype == torch.long
    assert set(first.flatten().tolist()) == set(range(V)), "never the start token"
    assert len({tuple(row) for row in first.tolist()}) > 20, "rows are drawn one by one"


@pytest.mark.parametrize(("n", "length"), [(1, 1), (1, 5), (4, 1)])
def test_small_sizes_work(model, n, length):
    assert model.sample(n, length=length, generator=make_generator(0)).shape == (n, length)


def test_sampling_remembers_no_gradients_and_no_earlier_sample(model):
    remembers = []
    model.head.register_forward_hook(lambda module, inputs, output: remembers.append(output.requires_grad))
    one = model.sample(4, length=5, generator=make_generator(0))
    assert remembers == [False] * 5
    given = torch.tensor([1])
    model.sample(4, length=5, generator=make_generator(9), given=given)
    assert torch.equal(model.sample(4, length=5, generator=make_generator(0)), one)
    assert given.tolist() == [1]


def test_samples_survive_the_disk(model, tmp_path):
    save(tmp_path / "model.pt", model)
    other = CharRNN(model.config, generator=make_generator(7)).double()
    load(tmp_path / "model.pt", other)
    expected, got = (m.sample(20, length=8, generator=make_generator(0)) for m in (model, other))
    assert torch.equal(expected, got)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_it_samples_on_the_gpu(model):
    on_gpu = copy.deepcopy(model).cuda()
    settings = {"length": 8, "temperature": 0, "given": torch.tensor([1, 2])}  # `given` may stay on the CPU
    x = on_gpu.sample(5, generator=make_generator(0, "cuda"), **settings)
    assert x.is_cuda
    assert torch.equal(x.cpu(), model.sample(5, generator=make_generator(0), **settings))
    drawn = on_gpu.sample(40_000, length=T, generator=make_generator(1, "cuda")).cpu()
    with torch.no_grad():
        assert p_value(drawn, model.log_prob(EVERY).exp()) > 1e-3
    assert_causal(on_gpu, SENTENCES.cuda())


def test_forget_gates_begin_open():
    config = CharRNNConfig(levels=V, features=100, depth=2)
    model = CharRNN(config, generator=make_generator(0))
    for layer in range(2):
        bias = getattr(model.lstm, f"bias_ih_l{layer}") + getattr(model.lstm, f"bias_hh_l{layer}")
        inward, forget, cell, outward = bias.detach().view(4, 100).mean(1).tolist()
        assert 1.8 < forget < 2.2  # 2, and two uniform numbers up to 0.1 either way
        assert max(map(abs, (inward, cell, outward))) < 0.2


# --- bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ({"levels": 1}, r"levels ≥ 2 \(one character needs no model\).*levels=1"),
        ({"levels": 0}, "levels ≥ 2"),
        ({"levels": 5, "features": 0}, "features, depth ≥ 1, got .*features=0"),
        ({"levels": 5, "depth": 0}, "features, depth ≥ 1, got .*depth=0"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes, says):
    with pytest.raises(ValueError, match=says):
        CharRNNConfig(**sizes)


def test_a_sentence_without_a_character_is_refused():
    with pytest.raises(ValueError, match=r"sentences of one character or more, got shape \(2, 0\)"):
        small()(torch.zeros(2, 0, dtype=torch.long))


def test_the_start_token_is_no_character():
    with pytest.raises(ValueError, match="x: expected levels 0 to 2, got 3 to 3"):
        small().log_prob(torch.full((2, 4), V))


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"n": 0}, ValueError, "n: expected a whole number ≥ 1, got 0"),
        ({"length": 2.5}, TypeError, "length: expected a whole number ≥ 1, got float 2.5"),  # it once wrote for ever
        ({"generator": 0}, TypeError, "generator: expected a torch.Generator, got int"),
        ({"given": torch.tensor([V])}, ValueError, "given: expected levels 0 to 2, got 3 to 3"),
        ({"temperature": -1}, ValueError, "temperature: expected a number above 0, or 0 for greedy, got -1"),
        ({"top_k": V + 1}, ValueError, "top_k: expected a whole number from 1 to V = 3, got 4"),
        ({"top_p": 0}, ValueError, "top_p: expected a probability above 0 and at most 1, got 0"),
    ],
    ids=str,
)
def test_what_cannot_be_sampled_is_refused(settings, error, says):
    settings = {"n": 3, "length": 5, "generator": make_generator(0)} | settings
    with pytest.raises(error, match=says):
        small().sample(settings.pop("n"), **settings)


def test_a_model_whose_training_went_wrong_says_so():
    model = small()
    torch.nn.init.constant_(model.head.bias, torch.nan)
    with pytest.raises(ValueError, match="got nan in row 0; nan and inf say that training went wrong"):
        model.sample(2, length=3, generator=make_generator(0))
