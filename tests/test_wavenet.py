"""What is special to a model of sound: how far it sees, what it is told, and that fast and simple sampling are one.

The general contract, with shapes, gradients, disk and bad input, is in test_models.py.
"""

import _thread
import copy
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import course_lib
from course_lib.check import assert_causal
from course_lib.checkpoint import load, save
from course_lib.decode import invert_cdf, write
from course_lib.device import make_generator
from course_lib.fast.queues import BLOCK, WORTH_A_CORE, compiled_loop, fill
from course_lib.layers import gate
from course_lib.models.wavenet import WaveNet, WaveNetConfig

NARROW = {"levels": 20, "features": 8, "skip_features": 6}
CONFIGS = {
    "20 layers": WaveNetConfig(),
    "one layer": WaveNetConfig(layers=1, stacks=1, **NARROW),
    "kernel 3": WaveNetConfig(layers=6, stacks=2, kernel_size=3, **NARROW),
    "growth 3": WaveNetConfig(layers=4, stacks=1, growth=3, **NARROW),
    "growth 1": WaveNetConfig(layers=4, stacks=2, growth=1, kernel_size=4, **NARROW),
    "global": WaveNetConfig(layers=6, stacks=3, global_channels=3, **NARROW),
    "local": WaveNetConfig(layers=4, stacks=1, local_channels=4, frame=7, **NARROW),
    "both": WaveNetConfig(layers=4, stacks=2, kernel_size=3, growth=3, global_channels=2, local_channels=3, **NARROW),
}
FIELDS = {  # 1 + (kernel - 1) times the sum of the dilations, by hand
    "20 layers": 1 + 2 * 1023,
    "one layer": 1 + 1,
    "kernel 3": 1 + 2 * (1 + 2 + 4 + 1 + 2 + 4),
    "growth 3": 1 + (1 + 3 + 9 + 27),
    "growth 1": 1 + 3 * 4,
    "global": 1 + 3 * (1 + 2),
    "local": 1 + (1 + 2 + 4 + 8),
    "both": 1 + 2 * (1 + 3 + 1 + 3),
}
each_config = pytest.mark.parametrize("name", CONFIGS)
some_configs = pytest.mark.parametrize("name", ["kernel 3", "both"])
TOLD = {
    "told nothing": {},
    "global": {"global_channels": 2},
    "local": {"local_channels": 2, "frame": 2},
    "both": {"global_channels": 1, "local_channels": 2, "frame": 3},
}
each_told = pytest.mark.parametrize("told", TOLD.values(), ids=TOLD)


def build(config):
    """A model sure enough of itself that its sounds are far from equally likely; its weights are these tests' own."""
    model, generator = WaveNet(config, generator=make_generator(0)).eval(), make_generator(0)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0, 0.5 if p.ndim == 1 else 1.2 / p[0].numel() ** 0.5, generator=generator)
        model.embed.weight.normal_(0, 1.5, generator=generator)
    return model


def small(**changes):
    return build(WaveNetConfig(**{"levels": 3, "layers": 2, "stacks": 1, "features": 6, "skip_features": 5} | changes))


def conditions(config, n, steps, seed=5):
    """What `n` sounds are told, each something else."""
    told, generator = {}, make_generator(seed)
    if config.global_channels:
        told["global_condition"] = torch.randn(n, config.global_channels, generator=generator)
    if config.local_channels:
        told["local_condition"] = torch.randn(n, -(-steps // config.frame), config.local_channels, generator=generator)
    return told


def awake(model):
    """The same with all of its ReLUs on, so that no gradient is lost there."""
    with torch.no_grad():
        model.skips[0].bias.fill_(100)
        model.head[1].weight.abs_()
    return model


def of_rows(told, rows):
    return {name: t[rows] for name, t in told.items()}


def noise(config, n, steps):
    return torch.randint(config.levels, (n, steps), generator=make_generator(1))


def uniform(n, steps, seed=0):
    """The numbers that `sample` draws by: one for each sample, those of a step together."""
    return torch.rand(steps, n, generator=make_generator(seed), dtype=torch.float64)


@torch.no_grad()
def compiled(model, u, **told):
    """Sounds (n, steps) by the compiled loop from numbers u (steps, n)."""
    steps, n = u.shape
    x = torch.zeros(n, steps, dtype=torch.long)
    done = list(fill(model, x, 0, u, model.conditioning(n, steps, **told)))
    assert sum(done) == steps and max(done) <= BLOCK, "every step is reported, and Python looks up in between"
    return x


def eager(model, u, **told):
    """The same by `step`, in PyTorch."""
    return write(model, u.shape[1], len(u), choose=lambda logits, t: invert_cdf(logits, u[t]), **told)


@torch.no_grad()
def sample_by_rerunning(model, u, **told):
    """The simple way: for each sample the network reads everything from the beginning."""
    steps, n = u.shape
    x = torch.zeros(n, steps, dtype=torch.long)
    for t in range(steps):
        x[:, t] = invert_cdf(model(x, **told)[:, t], u[t])  # what stands at t itself, and after it, is not seen
    return x


def index(x, V):
    """(N, T) long -> (N,): the place of each sound among all of its length."""
    return (x * V ** torch.arange(x.shape[1]).flip(0)).sum(1)


def p_value(x, V, p):
    """How often draws from `p` would be off by as much as `x` is: the tail of chi-square over all sounds."""
    expected = len(x) * p.double()
    assert expected.min() > 5, "chi-square needs about five in every cell"
    chi_square = ((index(x, V).bincount(minlength=len(p)) - expected) ** 2 / expected).sum()
    return torch.special.gammaincc(torch.tensor((len(p) - 1) / 2).double(), chi_square / 2).item()


# --- what it sees ----------------------------------------------------------------------------------------------


@some_configs
def test_it_is_causal(name):
    config = replace(CONFIGS[name], levels=5)
    model, told = build(config), conditions(config, 2, 12)

    def asked(x):  # many copies of the batch at once
        return model(x, **{name: t.repeat(len(x) // 2, *[1] * (t.ndim - 1)) for name, t in told.items()})

    assert_causal(asked, noise(config, 2, 12))


def seen_by(model, steps, told):
    """Which samples the logits after `steps` of them depend on, by their gradient with respect to what was fed."""
    fed = []
    model.embed.register_forward_hook(lambda module, inputs, output: fed.append(output))
    logits = model(noise(model.config, 1, steps + 1), **told)[0, steps]
    weights = torch.randn(len(logits), generator=make_generator(2), dtype=logits.dtype)
    gradient = torch.autograd.grad((logits * weights).sum(), fed[0])[0]  # (1, steps, R)
    return gradient[0].abs().sum(1).nonzero().flatten().tolist()


@each_config
def test_the_receptive_field_is_what_the_gradient_reaches(name):
    model = build(CONFIGS[name]).double()
    field, steps = FIELDS[name], FIELDS[name] + 9
    assert model.receptive_field == field
    seen = seen_by(model, steps, conditions(model.config, 1, steps + 1))
    assert (seen[0], seen[-1]) == (steps - field, steps - 1), "the oldest and the newest"
    if name != "growth 3":
        assert len(seen) == field, "and all between"


@pytest.mark.parametrize(("growth", "layers", "kernel_size"), [(3, 4, 2), (4, 3, 2), (4, 2, 3), (3, 2, 3)])
def test_growth_beyond_the_kernel_leaves_gaps(growth, layers, kernel_size):
    config = WaveNetConfig(layers=layers, stacks=1, growth=growth, kernel_size=kernel_size, **NARROW)
    model = build(config).double()
    taps = [[i * growth**layer for i in range(kernel_size)] for layer in range(layers)]
    offsets = {sum(one) for one in itertools.product(*taps)}
    seen = seen_by(model, 50, {})
    assert seen == sorted(49 - offset for offset in offsets)
    assert 50 - seen[0] == model.receptive_field, "the oldest"
    assert (len(seen) == model.receptive_field) == (growth <= kernel_size), "and all between, or not"
    if (growth, layers) == (4, 3):
        assert (model.receptive_field, len(seen)) == (22, 8), "as its docstring says"


def test_flipping_the_farthest_sample_moves_the_logits_and_the_one_before_it_does_not():
    config = CONFIGS["kernel 3"]
    model, field = build(config).double(), FIELDS["kernel 3"]
    x = noise(config, 8, field + 2)
    inside, outside = x.clone(), x.clone()
    inside[:, 1] = (inside[:, 1] + 1) % config.levels
    outside[:, 0] = (outside[:, 0] + 1) % config.levels
    with torch.no_grad():
        last = model(x)[:, -1]
        assert torch.equal(model(outside)[:, -1], last)
        assert (model(inside)[:, -1] != last).any(1).all()


def test_dilations_begin_anew_in_each_stack():
    assert WaveNetConfig(layers=6, stacks=2).dilations == [1, 2, 4, 1, 2, 4]
    assert WaveNetConfig(layers=3, stacks=3).dilations == [1, 1, 1]
    assert WaveNetConfig(layers=3, stacks=1, growth=5).dilations == [1, 5, 25]
    assert [conv.dilation[0] for conv in WaveNet(WaveNetConfig(layers=6, stacks=2)).convs] == [1, 2, 4, 1, 2, 4]


def test_a_sample_hears_of_the_frames_of_its_past_and_one_more_and_of_none_later():
    config = WaveNetConfig(layers=3, stacks=1, local_channels=2, frame=2, **NARROW)
    model, steps = awake(build(config)).double(), 40
    local = conditions(config, 1, steps)["local_condition"].double().requires_grad_()
    logits = model(noise(config, 1, steps), local_condition=local)[0]
    before = 2 + 4  # how far the layers after the first look back: from there, too, they hear what it was told
    for t in (0, 1, 2, 19, 20, 21, 39):
        gradient = torch.autograd.grad(logits[t].square().sum(), local, retain_graph=True)[0][0]  # (frames, L)
        expected = range(max(0, max(0, t - before) // 2 - 1), min(20, t // 2 + 2))
        assert gradient.abs().sum(1).nonzero().flatten().tolist() == list(expected)


def test_a_frame_is_for_as_many_samples_as_the_config_says():
    model = awake(small(local_channels=2, frame=3))
    with torch.no_grad():
        model.from_local.weight[:, :, [0, 2]] = 0  # each frame for itself
    x, told = noise(model.config, 4, 12), conditions(model.config, 4, 12)
    other = {"local_condition": told["local_condition"].clone()}
    other["local_condition"][:, 2] += 1
    with torch.no_grad():
        moved = (model(x, **told) != model(x, **other)).any(2).all(0)
    assert moved.nonzero().flatten().tolist() == list(range(6, 11)), "as long, and as the layers remember"


def test_the_first_sample_hears_the_global_condition_and_so_does_the_last():
    config = CONFIGS["global"]
    model, g = build(config), conditions(config, 3, 30)["global_condition"]
    x = noise(config, 3, 30)
    with torch.no_grad():
        moved = (model(x, g) != model(x, g + 1)).any(2)
        assert moved.all()
        assert torch.equal(model(x, g)[:2], model(x[:2], g[:2])), "a row hears its own"


@torch.no_grad()
def test_it_is_the_network_of_the_paper():
    """Its gated residual blocks written out with sums over taps, and nothing of its own code but the weights."""
    config = WaveNetConfig(layers=4, stacks=2, kernel_size=3, levels=7, features=5, skip_features=4)
    model, x = build(config).double(), noise(config, 2, 11)
    fed = torch.cat([torch.zeros(2, 1, 5, dtype=torch.float64), model.embed.weight[x[:, :-1]]], 1)  # (B, T, R)
    total = 0
    for layer, (d, conv) in enumerate(zip([1, 2, 1, 2], model.convs, strict=True)):
        z = conv.bias.expand(2, 11, 10).clone()
        for tap in range(3):
            ago = (2 - tap) * d
            z[:, ago:] += fed[:, : 11 - ago] @ conv.weight[:, :, tap].T
        out = z[:, :, :5].tanh() * z[:, :, 5:].sigmoid()
        total = total + out @ model.skips[layer].weight[:, :, 0].T + model.skips[layer].bias
        if layer < 3:
            fed = fed + out @ model.adds[layer].weight[:, :, 0].T + model.adds[layer].bias
    first, last = model.head[1], model.head[3]
    logits = (total.relu() @ first.weight[:, :, 0].T + first.bias).relu() @ last.weight[:, :, 0].T + last.bias
    torch.testing.assert_close(model(x), logits, rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_conditions_are_added_before_the_gates():
    """With silent weights a layer's gate is that of what it was told: V_g g + (V_l * l) at its frame."""
    config = WaveNetConfig(layers=2, stacks=1, global_channels=2, local_channels=3, frame=4, **NARROW)
    model, told = build(config).double(), conditions(config, 2, 10)
    for conv in model.convs:
        nn.init.zeros_(conv.weight)
        nn.init.zeros_(conv.bias)
    gates = []
    for skip in model.skips:
        skip.register_forward_hook(lambda module, inputs, output: gates.append(inputs[0]))
    model(noise(config, 2, 10), **told)
    g, local = told["global_condition"].double(), told["local_condition"].double()
    padded = torch.cat([local[:, :1] * 0, local, local[:, :1] * 0], 1)  # (B, 1 + frames + 1, L)
    for layer in range(2):
        rows = slice(16 * layer, 16 * (layer + 1))
        for t in range(10):
            z = g @ model.from_global.weight[rows].T
            for tap in range(3):
                z = z + padded[:, t // 4 + tap] @ model.from_local.weight[rows, :, tap].T
            torch.testing.assert_close(gates[layer][:, :, t], gate(z))


# --- its likelihood is exact -----------------------------------------------------------------------------------

EVERY = torch.cartesian_prod(*[torch.arange(3)] * 4)  # (81, 4): all sounds of four samples of three levels


@each_told
@torch.no_grad()
def test_the_probabilities_of_all_sounds_sum_to_1(told):
    model = small(**told).double()
    for seed in 0, 1:
        heard = {name: t.expand(81, *t.shape[1:]) for name, t in conditions(model.config, 1, 4, seed).items()}
        log_p = model.log_prob(EVERY, **heard)
        assert log_p.shape == (81,) and log_p.dtype == torch.float64
        assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-9)
        assert log_p.max() - log_p.min() > 2, "and they are not all alike, or the tests below would say little"


@each_config
@torch.no_grad()
def test_the_chain_rule_is_the_sum_of_what_each_step_says(name):
    model = build(CONFIGS[name]).double()
    x, told = noise(model.config, 3, 50), conditions(model.config, 3, 50)
    log_p = model(x, **told).log_softmax(2)
    by_hand = sum(log_p[torch.arange(3), t, x[:, t]] for t in range(50))
    torch.testing.assert_close(model.log_prob(x, **told), by_hand, rtol=1e-12, atol=0)


# --- fast and simple say the same ------------------------------------------------------------------------------

STEPS = 2000  # more than two blocks of the loop, and every queue goes round


@pytest.fixture(params=CONFIGS, scope="module")
def said(request):
    """A model, sounds of noise, what they are told, and the logits that `forward` gives them."""
    model = build(CONFIGS[request.param])
    x, told = noise(model.config, 3, STEPS), conditions(model.config, 3, STEPS)
    with torch.no_grad():
        return model, x, told, model(x, **told)


def test_the_compiled_loop_says_what_forward_says(said):
    model, x, told, expected = said
    logits, before = torch.full((STEPS, 3, model.config.levels), torch.nan), x.clone()
    with torch.no_grad():
        list(fill(model, x, STEPS, uniform(3, 0), model.conditioning(3, STEPS, **told), logits=logits))
    assert torch.equal(x, before), "what is known is kept"
    torch.testing.assert_close(logits.transpose(0, 1), expected, atol=1e-4, rtol=0)
    assert expected.std(2).mean() > 0.5, "logits near zero would agree with anything"


@pytest.mark.parametrize("name", ["20 layers", "growth 1", "both"])
@torch.no_grad()
def test_a_queue_that_has_gone_round_says_what_forward_says(name):
    """The contract of all models, in test_models, steps through a few samples; here through more than a queue holds."""
    model, steps = build(CONFIGS[name]), 530 if name == "20 layers" else 60
    x, told = noise(model.config, 2, steps), conditions(model.config, 2, steps)
    state, logits = model.begin(2, **told), []
    for previous in (None, *x[:, :-1].unbind(1)):
        one, state = model.step(previous, state)
        logits.append(one)
    torch.testing.assert_close(torch.stack(logits, 1), model(x, **told), atol=1e-4, rtol=0)


def test_every_draw_is_that_of_the_whole_past(said):
    """By induction this is the simple way, step after step, for the price of one pass."""
    model, _, told, _ = said
    x = model.sample(3, length=STEPS, generator=make_generator(0), progress=False, **told)
    with torch.no_grad():
        logits = model(x, **told).flatten(0, 1)
    u = uniform(3, STEPS).T.flatten()
    steps = logits.double().softmax(1).cumsum(1)
    sure = (steps - u[:, None]).abs().amin(1) > 1e-5  # nearer to a step, the last digit could decide
    assert sure.double().mean() > 0.98
    assert torch.equal(x.flatten()[sure], invert_cdf(logits, u)[sure])
    used = x.unique().numel()
    assert used > model.config.levels / 10 and used > 2, "a sound that stands still would say little"


@pytest.mark.parametrize("name", ["20 layers", "one layer", "both"])
def test_three_ways_draw_the_same(name):
    """Here no number comes nearer than 1e-5 to a step of its distribution, so no last digit decides."""
    steps = 60 if name == "20 layers" else 120
    model = build(CONFIGS[name])
    u, told = uniform(4, steps, seed=35), conditions(model.config, 4, steps)
    simple = sample_by_rerunning(model, u, **told)
    assert torch.equal(eager(model, u, **told), simple)
    assert torch.equal(compiled(model, u, **told), simple)
    assert torch.equal(model.sample(4, length=steps, generator=make_generator(35), progress=False, **told), simple)
    assert len({tuple(row) for row in simple.tolist()}) == 4


@pytest.mark.parametrize("way", [compiled, eager])
def test_a_number_on_a_step_goes_to_the_choice_above(way):
    model = small(levels=4)
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    u = torch.tensor([0, 0.2499, 0.25, 0.4999, 0.5, 0.75, 1 - 2**-53], dtype=torch.float64)
    assert way(model, u[None])[:, 0].tolist() == [0, 0, 1, 1, 2, 3, 3]


@pytest.mark.parametrize("name", ["growth 3", "both"])
def test_a_sound_does_not_depend_on_the_others_of_its_batch(name):
    model, n, steps = build(CONFIGS[name]), 20, 60
    u, told = uniform(n, steps), conditions(model.config, n, steps)
    together = compiled(model, u, **told)
    for row in torch.arange(n).split(1):
        assert torch.equal(compiled(model, u[:, row], **of_rows(told, row)), together[row])


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@some_configs
def test_cores_share_a_batch_and_change_nothing(name, threads):
    model, n, steps = build(CONFIGS[name]), 3 * WORTH_A_CORE + 3, BLOCK + 20
    u, told = uniform(n, steps), conditions(model.config, n, steps)
    sounds = []
    for cores in (1, 2, 3, 8):
        threads(cores)
        sounds.append(compiled(model, u, **told))
    assert all(torch.equal(sound, sounds[0]) for sound in sounds)


# --- what is given ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["20 layers", "both"])
@pytest.mark.parametrize("known", [1, 37, 79])
def test_what_is_given_is_kept_and_gone_on_with_as_if_it_had_been_drawn(name, known):
    model, steps = build(CONFIGS[name]), 80
    told = conditions(model.config, 5, steps)
    settings = {"length": steps, "progress": False, **told}
    whole = model.sample(5, generator=make_generator(0), **settings)
    for other in False, True:
        later = make_generator(0)
        torch.rand(known, 5, generator=later, dtype=torch.float64)  # the numbers that drew what is given
        given = (whole[:, :known] + 1) % model.config.levels if other else whole[:, :known]
        before = given.clone()
        x = model.sample(5, generator=later, given=given, **settings)
        assert torch.equal(x[:, :known], before) and torch.equal(given, before)
        assert torch.equal(x, whole) != other, "another beginning goes on in another way"


# --- its draws obey the likelihood -----------------------------------------------------------------------------

# Below, one seed in a thousand would fail a right sampler; the seeds are fixed, so that it fails never or always.


@each_told
@torch.no_grad()
def test_draws_come_as_often_as_log_prob_says(told):
    model, n = small(levels=4, **told), 40_000
    every = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    heard = conditions(model.config, 1, 2)
    x = model.sample(
        n,
        length=2,
        generator=make_generator(1),
        progress=False,
        **{k: t.expand(n, *t.shape[1:]) for k, t in heard.items()},
    )
    p = model.log_prob(every, **{name: t.expand(16, *t.shape[1:]) for name, t in heard.items()}).exp()
    assert p.max() > 3 * p.min()
    assert p_value(x, 4, p) > 1e-3


@torch.no_grad()
def test_completions_come_as_often_as_log_prob_says():
    model, n, begin = small(), 40_000, torch.tensor([2, 1])
    x = model.sample(n, length=4, generator=make_generator(1), given=begin, progress=False)
    p = model.log_prob(EVERY).exp()[(EVERY[:, :2] == begin).all(1)]
    assert p_value(x[:, 2:], 3, p / p.sum()) > 1e-3


# --- manners ---------------------------------------------------------------------------------------------------


def test_the_generator_decides_and_nobody_else_is_disturbed():
    model = build(CONFIGS["kernel 3"])
    torch.manual_seed(3)
    np_state, before = np.random.get_state()[1].copy(), torch.random.get_rng_state()  # noqa: NPY002
    first, again, other = (
        model.sample(50, length=30, generator=make_generator(seed), progress=False) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (np.random.get_state()[1] == np_state).all()  # noqa: NPY002
    assert first.shape == (50, 30) and first.dtype == torch.long and first.device.type == "cpu"
    assert len({tuple(row) for row in first.tolist()}) == 50, "sounds are drawn one by one"


@pytest.mark.parametrize(("n", "steps"), [(1, 1), (1, 5), (4, 1), (2, BLOCK), (2, BLOCK + 1)])
def test_any_size_works(n, steps):
    x = small().sample(n, length=steps, generator=make_generator(0), progress=False)
    assert x.shape == (n, steps) and x.min() >= 0 and x.max() <= 2


@pytest.mark.parametrize("told", [{}, {"global_channels": 2, "local_channels": 1, "frame": 3}], ids=["free", "told"])
def test_other_precisions_are_sampled_in_float32(told):
    model = small(**told)
    heard = conditions(model.config, 3, 200)

    def sounds(model):
        return model.sample(3, length=200, generator=make_generator(0), progress=False, **heard)

    assert torch.equal(sounds(copy.deepcopy(model).double()), sounds(model))
    for dtype in torch.bfloat16, torch.float16:
        rounded = copy.deepcopy(model).to(dtype)
        if told:  # what it is told is worked out in its own precision
            assert sounds(rounded).shape == (3, 200)
        else:
            assert torch.equal(sounds(rounded), sounds(copy.deepcopy(rounded).float()))


def test_gradients_are_not_kept_and_one_sample_leaves_no_trace_for_the_next():
    model = build(CONFIGS["both"]).train()
    told = conditions(model.config, 2, 90)
    told = {name: t.requires_grad_() for name, t in told.items()}
    one = model.sample(2, length=90, generator=make_generator(0), progress=False, **told)
    model.sample(2, length=90, generator=make_generator(9), progress=False, **told)
    assert torch.equal(model.sample(2, length=90, generator=make_generator(0), progress=False, **told), one)
    assert model.training and all(p.grad is None for p in model.parameters())


def test_neighbouring_levels_begin_alike_and_far_ones_do_not():
    model = WaveNet(WaveNetConfig(), generator=make_generator(0))
    for weight, scale in (model.embed.weight, 1), (model.head[3].weight[:, :, 0], 1 / (3 * 64) ** 0.5):  # PyTorch's
        weight = weight.detach()
        assert weight.std().item() == pytest.approx(scale, rel=0.1)
        near, far = (weight[1:] - weight[:-1]).std(), (weight[128:] - weight[:-128]).std()
        assert near < 0.05 * scale < 0.5 * scale < far


@pytest.mark.parametrize("levels", [2, 3, 1000])
def test_the_smallest_networks_begin_with_finite_weights_and_make_sounds(levels):
    config = WaveNetConfig(levels=levels, layers=1, stacks=1, features=1, skip_features=1, frame=1)
    model = WaveNet(config, generator=make_generator(0))
    assert all(p.isfinite().all() for p in model.parameters())
    assert model.sample(2, length=5, generator=make_generator(0), progress=False).max() < levels


def test_what_is_learned_later_is_heard():
    model = small()
    one = model.sample(2, length=200, generator=make_generator(0), progress=False)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3)
    assert not torch.equal(model.sample(2, length=200, generator=make_generator(0), progress=False), one)


def test_samples_survive_the_disk(tmp_path):
    model = build(CONFIGS["both"])
    save(tmp_path / "model.pt", model)
    other = WaveNet(model.config, generator=make_generator(7))
    load(tmp_path / "model.pt", other)
    told = conditions(model.config, 3, 100)
    expected, got = (
        m.sample(3, length=100, generator=make_generator(0), progress=False, **told) for m in (model, other)
    )
    assert torch.equal(expected, got)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
@each_told
def test_a_model_on_the_gpu_draws_the_same(told):
    model = small(**told)
    on_gpu, heard = copy.deepcopy(model).cuda(), conditions(model.config, 20, 100)
    given = torch.tensor([1, 2])
    expected = model.sample(20, length=100, generator=make_generator(0), given=given, progress=False, **heard)
    there = {name: t.cuda() for name, t in heard.items()}
    x = on_gpu.sample(20, length=100, generator=make_generator(0), given=given, progress=False, **there)
    assert x.is_cuda
    assert torch.equal(x.cpu(), expected)
    drawn_there = on_gpu.sample(20, length=100, generator=make_generator(0, "cuda"), progress=False, **there)
    assert drawn_there.is_cuda and drawn_there.shape == (20, 100)
    with torch.no_grad():
        there_too = on_gpu.log_prob(x, **there).cpu()
        torch.testing.assert_close(there_too, model.log_prob(expected, **heard), atol=1e-2, rtol=1e-3)  # TF32


@pytest.fixture
def ctrl_c():
    """Ctrl-C, a little after its start(), with its usual meaning, however the tests were started."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield threading.Timer(0.05, _thread.interrupt_main)
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_is_heard_before_the_end(ctrl_c):
    model, done, steps = build(CONFIGS["20 layers"]), [], 400_000
    x = torch.zeros(1, steps, dtype=torch.long)

    def go_on():
        for count in fill(model, x, 0, uniform(1, steps)):
            if not done:
                ctrl_c.start()
            done.append(count)
        ctrl_c.join()  # or, unheard till now, it would hit another test

    with pytest.raises(KeyboardInterrupt):
        go_on()
    assert 0 < sum(done) < steps


# --- the likeliest ---


def next_to_each_other(ahead, of):
    """A model of four levels whose logits are its last bias: the levels `of` share the first place, but for `ahead`."""
    model = small(levels=4)
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
        model.head[3].bias[of] = 1.0
        model.head[3].bias[of[-1]] += ahead
    return model


WAYS = pytest.mark.parametrize("way", ["compiled", "eager"])


@WAYS
@pytest.mark.parametrize("temperature", [0, 1e-300, 1e-7])
@pytest.mark.filterwarnings("ignore:numba is not installed")
def test_greedy_takes_the_largest_and_of_equals_the_first(way, temperature, request):
    if way == "eager":
        request.getfixturevalue("no_numba")
    for ahead, of, choice in (0, [1, 2, 3], 1), (0, [0, 3], 0), (1e-6, [0, 1, 2], 2), (-1e-6, [1, 3], 1):
        model = next_to_each_other(ahead, of)
        x = model.sample(20, length=30, generator=make_generator(0), temperature=temperature, progress=False)
        assert (x == choice).all(), (ahead, of)


@WAYS
@pytest.mark.filterwarnings("ignore:numba is not installed")
def test_small_temperatures_keep_small_differences(way, request):
    if way == "eager":
        request.getfixturevalue("no_numba")
    model, n = next_to_each_other(4 * 2**-23, [1, 2]), 4000  # four steps of a float32
    x = model.sample(n, length=1, generator=make_generator(0), temperature=1e-6, progress=False)
    counts, expected = x.flatten().bincount(minlength=4), n * torch.tensor([0, 2**-21 / 1e-6]).softmax(0)
    assert counts[0] == counts[3] == 0
    assert (counts[1:3] - expected).abs().max() < 4 * (expected.prod() / n).sqrt(), "four standard deviations"


# --- without numba ---------------------------------------------------------------------------------------------


@pytest.fixture
def no_numba(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "course_lib.fast.compiled_loop", raising=False)
    compiled_loop.cache_clear()
    yield
    compiled_loop.cache_clear()


@some_configs
def test_without_numba_the_same_is_drawn_and_it_is_said_once(name, request):
    model, steps = build(CONFIGS[name]), 150
    settings = {"length": steps, "given": torch.tensor([3, 1, 4]), **conditions(model.config, 3, steps)}
    temperatures = (1.0, 0.5, 0)

    def sounds(temperature):
        return model.sample(3, generator=make_generator(0), temperature=temperature, progress=False, **settings)

    fast = [sounds(temperature) for temperature in temperatures]  # a warning would be an error
    request.getfixturevalue("no_numba")
    with pytest.warns(RuntimeWarning, match=r"numba is not installed.*slower; `pip install numba`") as said:
        slow = [sounds(temperature) for temperature in temperatures]
    assert len(said) == 1 and said[0].filename == __file__, "the warning points at the call"
    assert all(map(torch.equal, fast, slow))
    assert not torch.equal(fast[0], fast[1]) and not torch.equal(fast[1], fast[2])


@torch.no_grad()
def test_without_numba_conditions_are_worked_out_once(no_numba, monkeypatch):
    model, asked = build(CONFIGS["both"]), []
    told, conditioning = conditions(model.config, 2, 9), model.conditioning
    monkeypatch.setattr(model, "conditioning", lambda *given: asked.append(1) or conditioning(*given))
    with pytest.warns(RuntimeWarning, match="numba is not installed"):
        model.sample(2, length=9, generator=make_generator(0), progress=False, **told)
    assert asked == [1]


def test_the_loop_is_compiled_where_nothing_can_be_stored(tmp_path):
    """In a process of its own, whose copy of the library has no place for the code, nor has the user's home."""
    root = Path(course_lib.__file__).parent
    shutil.copytree(root, tmp_path / "course_lib", ignore=shutil.ignore_patterns("__pycache__", "*.txt", "*.gz"))
    (tmp_path / "course_lib/fast/__pycache__").write_text("a file, where a folder would have to be")
    code = "from course_lib.fast.compiled_loop import _exp, run; print(_exp(-1.0), run.stats.cache_path)"
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"), os.devnull) | {"PYTHONPATH": str(tmp_path)}
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"} | nowhere
    command = [sys.executable, "-W", "error::RuntimeWarning", "-B", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    value, stored = done.stdout.split()
    assert float(value) == pytest.approx(1 / np.e) and stored == "None"


# --- the loop's arithmetic -------------------------------------------------------------------------------------


def test_tanh_is_within_its_bound():
    from course_lib.fast.compiled_loop import _tanh

    x = torch.cat([torch.linspace(-12, 12, 40_001), torch.tensor([0.0, 1e-30, -1e-6, 100, -1e30])])
    above, below = np.array([_tanh(one) for one in x.numpy()], np.float32).T
    assert below.min() > 0 and np.isfinite(below).all()
    error = np.abs(above / below - x.double().tanh().numpy())
    assert error.max() < 2e-7
    assert above[40_001] == 0


def test_exp_is_within_its_bound():
    from course_lib.fast.compiled_loop import _exp

    x = torch.cat([torch.linspace(-100, 0, 40_001), torch.tensor([-1e-30, -1e4, -1e30])])
    got, expected = torch.tensor([_exp(one) for one in x.numpy()], dtype=torch.float64), x.double().exp()
    matters = x > -20  # a chance of 2e-9; what comes less often may be off by more
    assert ((got - expected).abs() / expected)[matters].max() < 1e-7
    assert (got - expected).abs().max() < 1e-12
    assert got[40_000] == 1 and torch.equal(got > 0, expected > 0)


# --- bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "error", "says"),
    [
        ({"levels": 1}, ValueError, "levels: expected a whole number ≥ 2, got 1"),
        ({"layers": "20"}, TypeError, "layers: expected a whole number ≥ 1, got str '20'"),
        ({"stacks": 0}, ValueError, "stacks: expected a whole number ≥ 1, got 0"),
        ({"stacks": 3}, ValueError, "layers: expected a multiple of stacks = 3, got 20"),
        ({"features": 0}, ValueError, "features: expected a whole number ≥ 1, got 0"),
        ({"skip_features": -1}, ValueError, "skip_features: expected a whole number ≥ 1, got -1"),
        ({"kernel_size": 1}, ValueError, "kernel_size: expected a whole number ≥ 2, got 1"),
        ({"growth": 1.5}, TypeError, "growth: expected a whole number ≥ 1, got float 1.5"),
        ({"global_channels": None}, TypeError, "global_channels: expected a whole number ≥ 0, got NoneType None"),
        ({"local_channels": -1}, ValueError, "local_channels: expected a whole number ≥ 0, got -1"),
        ({"frame": 0}, ValueError, "frame: expected a whole number ≥ 1, got 0"),
    ],
    ids=str,
)
def test_sizes_that_cannot_be_are_refused(sizes, error, says):
    with pytest.raises(error, match=says):
        WaveNetConfig(**sizes)


def test_a_sound_without_a_sample_is_refused():
    with pytest.raises(ValueError, match=r"x: expected sounds of one sample or more, got shape \(2, 0\)"):
        small()(torch.zeros(2, 0, dtype=torch.long))


G, L = torch.zeros(2, 3), torch.zeros(2, 4, 5)  # for 2 sounds of 10 samples, 3 a frame
BAD_CONDITIONS = {
    "no global": ({"local_condition": L}, ValueError, "global_condition: .* built with 3 such channels, got none"),
    "no local": ({"global_condition": G}, ValueError, "local_condition: .* built with 5 such channels, got none"),
    "local too short": ({"local_condition": L[:, :3]}, ValueError, r"shape \(2, 4, 5\), got \(2, 3, 5\)"),
    "local too narrow": ({"local_condition": L[:, :, 1:]}, ValueError, r"shape \(2, 4, 5\), got \(2, 4, 4\)"),
    "local of one sound": ({"local_condition": L[0]}, ValueError, r"shape \(2, 4, 5\), got \(4, 5\)"),
    "local in whole numbers": ({"local_condition": L.long()}, TypeError, "local_condition: .* got torch.int64"),
    "global of others": ({"global_condition": G[:1]}, ValueError, r"shape \(2, 3\), got \(1, 3\)"),
    "global as a number": ({"global_condition": 1}, TypeError, "global_condition: expected a torch.Tensor, got int"),
}


def ask_to_sample(model, x, **told):
    return model.sample(len(x), length=x.shape[1], generator=make_generator(0), progress=False, **told)


@pytest.mark.parametrize("ask", [WaveNet.forward, ask_to_sample])
@pytest.mark.parametrize("case", BAD_CONDITIONS)
def test_conditions_that_do_not_fit_are_refused(ask, case):
    told, error, says = BAD_CONDITIONS[case]
    model = small(global_channels=3, local_channels=5, frame=3)
    told = told if case.startswith("no ") else {"global_condition": G, "local_condition": L} | told
    with pytest.raises(error, match=says):
        ask(model, torch.zeros(2, 10, dtype=torch.long), **told)


@pytest.mark.parametrize("told", [{"global_condition": G}, {"local_condition": L}], ids=["global", "local"])
def test_conditions_that_nobody_asked_for_are_refused(told):
    for ask in WaveNet.forward, ask_to_sample, lambda model, x, **told: model.begin(len(x), **told):
        with pytest.raises(ValueError, match=f"{next(iter(told))}: this model was built with none such, got some"):
            ask(small(), torch.zeros(2, 10, dtype=torch.long), **told)


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"n": 0}, ValueError, "n: expected a whole number ≥ 1, got 0"),
        ({"length": 0.5}, TypeError, "length: expected a whole number ≥ 1, got float 0.5"),
        (
            {"generator": None},
            TypeError,
            r"generator: expected a torch.Generator, got NoneType; make_generator\(seed\)",
        ),
        ({"given": torch.zeros(5).long()}, ValueError, "given: expected fewer than length = 5, so that .*, got 5"),
        ({"given": torch.full((2,), 3)}, ValueError, "given: expected levels 0 to 2, got 3 to 3"),
        ({"temperature": -0.5}, ValueError, "temperature: expected a number above 0"),
        ({"temperature": float("nan")}, ValueError, "temperature: expected a number above 0"),
    ],
    ids=str,
)
@pytest.mark.parametrize("way", ["compiled", "eager"])
@pytest.mark.filterwarnings("ignore:numba is not installed")
def test_what_cannot_be_sampled_is_refused(settings, error, says, way, request):
    if way == "eager":
        request.getfixturevalue("no_numba")
    settings = {"n": 3, "length": 5, "generator": make_generator(0)} | settings
    with pytest.raises(error, match=says):
        small().sample(settings.pop("n"), **settings)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_model_whose_training_went_wrong_says_so(value):
    model = small()
    with torch.no_grad():
        model.head[3].bias[1] = value
    with pytest.raises(ValueError, match=r"head.3.bias: expected finite numbers.*did training go wrong"):
        model.sample(2, length=3, generator=make_generator(0))


def test_conditions_that_are_no_numbers_are_not_sampled_from():
    model = small(global_channels=3)
    with pytest.raises(ValueError, match="what the conditions add: expected finite"):
        model.sample(2, length=3, generator=make_generator(0), global_condition=G * torch.nan)
