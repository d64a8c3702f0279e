"""The numbers that the course promises, measured here: `make bench`. Never a test, for a busy machine is not a bug.

Each row is a measurement, the promise beside it (for a laptop with two cores), and whether it is kept.
"""

import ast
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import warnings
from functools import partial
from itertools import pairwise, product
from pathlib import Path

import torch
import torch.nn.functional as F
from recipes.search import WAYS, Counting
from sklearn import mixture

from course_lib.data import PoemGrammar, Vocabulary, load_bouncing_digits, load_digits, load_mnist
from course_lib.data.shipped import shipped
from course_lib.decode import draw, invert_cdf, write
from course_lib.device import make_generator, pick_device
from course_lib.fast.diagonals import lstm
from course_lib.models.autoencoder import Autoencoder, AutoencoderConfig
from course_lib.models.char_rnn import CharRNN, CharRNNConfig
from course_lib.models.gaussian_mixture import GaussianMixture, GaussianMixtureConfig
from course_lib.models.pixel.convolutional import GatedPixelCNN, PixelCNN
from course_lib.models.pixel.model import PixelConfig
from course_lib.models.pixel.recurrent import DiagonalLayer, GridLSTM
from course_lib.models.video_pixel_network import IndependentPixels, VideoPixelNetwork, VPNConfig
from course_lib.models.wavenet import WaveNet, WaveNetConfig
from course_lib.prob import categorical_log_prob
from course_lib.train import fit

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "chapters").glob("[0-9][0-9]_*.ipynb"))
PROMISES = tomllib.loads((ROOT / "chapters" / "chapters.toml").read_text("utf-8"))


def row(what, measured, promise, unit, sign="≤"):
    good = promise is None or (measured <= promise if sign == "≤" else measured >= promise)
    kept = "" if promise is None else f"{sign} {promise:g} {unit}  {'kept' if good else 'MISSED'}"
    print(f"{what:56s} {measured:8.2f} {unit:3s}  {kept}", flush=True)


def nats(model, x):
    """The chapter's loss: x (B, C, H, W) long -> (B,) nats."""
    return -categorical_log_prob(model(x), x)


def chapters():
    """How long each stored notebook runs in a fresh kernel, as a learner runs it, and when its first picture stands."""
    import nbformat
    from nbclient import NotebookClient

    for path in CHAPTERS:
        pictures = []  # when each cell with a picture was done

        def seen(cell, pictures=pictures, **_):
            if any({"image/png", "text/html"} & output.get("data", {}).keys() for output in cell.get("outputs", [])):
                pictures.append(time.perf_counter())

        here = {"metadata": {"path": str(path.parent)}}
        client = NotebookClient(nbformat.read(path, as_version=4), resources=here, on_cell_executed=seen)
        start = time.perf_counter()
        client.execute()
        row(f"{path.stem}: run all", time.perf_counter() - start, PROMISES[path.stem]["seconds"], "s")
        row(f"{path.stem}: first picture after", pictures[0] - start, 10, "s")
        row(f"{path.stem}: stored notebook", path.stat().st_size / 1e6, 1.5, "MB")


def training():
    """What `fit` costs over the bare loop of the chapter's own model: median over five pairs, one after the other.

    On one thread, and pair by pair, because a machine's speed drifts by more than what is measured here.
    """
    run = load_digits("train")[0], AutoencoderConfig(latent=2, features=64, depth=1), 100
    threads, steps = torch.get_num_threads(), 1000
    torch.set_num_threads(1)
    seconds = {_bare_loop: [], _fit: []}
    for _ in range(6):
        for way, taken in seconds.items():
            times = way(*run, steps)
            taken.append(times[-1] - times[0])
    torch.set_num_threads(threads)
    bare, with_fit = (taken[1:] for taken in seconds.values())  # the first round warms up
    over = statistics.median(b / a for a, b in zip(bare, with_fit, strict=True)) - 1
    row("fit over the bare loop (1000 steps, median of 5 pairs)", 100 * over, 5, "%")
    row("the bare loop itself, a step", 1e3 * statistics.median(bare) / steps, None, "ms")


def _bare_loop(x, config, batch_size, steps, device="cpu"):
    """Chapter 2's loop and nothing else: when it started, and when each step was done."""
    generator = make_generator(0, device)
    model, x = Autoencoder(config, generator=generator).to(device), x.to(device)
    times, losses = [time.perf_counter()], []
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        loss = nats(model, x[torch.randint(len(x), (batch_size,), device=device, generator=generator)]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        times.append(time.perf_counter())
    return times


def _fit(x, config, batch_size, steps):
    """The same run by `fit`: when it started, and when it was done."""
    generator = make_generator(0)
    model = Autoencoder(config, generator=generator)
    start = time.perf_counter()
    fit(model, x, loss=nats, steps=steps, batch_size=batch_size, lr=1e-3, generator=generator, progress=False)
    return start, time.perf_counter()


def sentences():
    """How fast chapter 3's model writes 64 texts of 100 characters: carrying its state, and re-running the prefix."""
    generator = make_generator(0)
    model = CharRNN(CharRNNConfig(levels=331, features=128), generator=generator).eval()

    @torch.no_grad()
    def rerunning():
        x = torch.zeros(64, 100, dtype=torch.long)
        for t in range(100):
            x[:, t] = draw(model(x[:, : t + 1])[:, t], generator=generator)

    ways = {"carried": lambda: model.sample(64, length=100, generator=generator), "re-run": rerunning}
    seconds = {way: [] for way in ways}
    for _ in range(6):
        for way, run in ways.items():
            start = time.perf_counter()
            run()
            seconds[way].append(time.perf_counter() - start)
    carried, again = (statistics.median(runs[1:]) for runs in seconds.values())
    row("CharRNN.sample, 64 × 100 characters: thousands a second", 6.4 / carried, 20, "k/s", "≥")
    row("CharRNN.sample over re-running the prefix", again / carried, 10, "×", "≥")


def searching():
    """Chapter 9: how long a beam takes over greedy to finish poems that have begun, 100 in one batch, and one alone."""
    language, generator = PoemGrammar(), make_generator(0)
    vocabulary = Vocabulary(language.characters)
    model = CharRNN(CharRNNConfig(levels=vocabulary.levels)).eval()
    model.load_state_dict(torch.load(shipped("samples/poem_writer.pt"), weights_only=True))
    poems = vocabulary.encode_all(language.sample(100, generator=generator))
    for n in (100, 1):
        seconds = {way: [] for way in ("greedy", "beam 1", "beam 8")}
        for _ in range(8):
            for way, taken in seconds.items():
                counted, start = Counting(model), time.perf_counter()
                WAYS[way](counted, poems[:n, :5], language.length, generator)
                taken.append((time.perf_counter() - start, counted.rows))
        (greedy, rows), *beams = (map(statistics.median, zip(*taken[1:], strict=True)) for taken in seconds.values())
        name = f"of {n} poem{'s' * (n > 1)} from their first 5 characters"
        row(f"greedy, the rest {name}", 1e3 * greedy, None, "ms")
        for way, (slower, more), promises in zip(("beam 1", "beam 8"), beams, ((None, 1), (3, 8)), strict=True):
            row(f"{way} over greedy, {n} at once: seconds", slower / greedy, promises[0], "×")
            row(f"{way} over greedy, {n} at once: rows of step", more / rows, promises[1], "×")


def from_chapter(name, *functions):
    """Functions as a chapter's page shows them: what is timed there is what is read there."""
    import jupytext

    cells = jupytext.read(ROOT / "chapters" / "sources" / f"{name}.py").cells
    found = {"torch": torch, "F": F, "product": product, "lstm": lstm, "draw": draw, "device": pick_device()}
    for cell in cells:
        if cell.cell_type == "code":
            tree = ast.parse(cell.source)
            tree.body = [part for part in tree.body if getattr(part, "name", None) in functions]
            exec(compile(tree, name, "exec"), found)
    return [found[function] for function in functions]


def images():
    """Chapter 4: scans by anti-diagonals against its loops over pixels, and `sample` against its plain sampler."""
    device = pick_device()
    diagonal_loop, grid_loop = from_chapter("04_pixelrnn_images", "diagonal_loop", "grid_loop")
    for features in (8, 16):
        x = torch.randn(32, features, 28, 28, device=device)
        layer = DiagonalLayer(features).to(device)
        grid = GridLSTM(PixelConfig(2, 1, 28, 28, features, 1)).to(device)
        ways = {
            "Diagonal LSTM": (layer, lambda x, layer=layer: diagonal_loop(layer, x)),
            "Grid LSTM": (grid.scan, lambda x, grid=grid: grid_loop(grid, x)),
        }
        for name, (scan, loop) in ways.items():
            x.requires_grad_()
            fast, slow = (_there_and_back(partial(_power, way, x), n) for way, n in ((scan, 9), (loop, 3)))
            row(f"{name}, {features} features, 28×28, batch 32: scan over loop", slow / fast, 15, "×", "≥")
    for kind, promises in ((PixelCNN, (3, 20)), (GatedPixelCNN, (None, None))):
        # the size that benchmarks/train.py trains on binarised MNIST; the smaller a model, the less there is to save
        model = kind(PixelConfig(2, 1, 28, 28, features=48, depth=6), generator=make_generator(0)).to(device)
        for n, promise in zip((1, 64), promises, strict=True):
            seconds = []
            for _ in range(4):
                start = time.perf_counter()
                model.sample(n, generator=make_generator(0, device), progress=False)
                seconds.append(time.perf_counter() - start)
            fast = statistics.median(seconds[1:])
            row(f"{kind.__name__}.sample, 28×28, batch {n}", fast, None, "s")
            row(
                f"{kind.__name__}.sample over the plain sampler, batch {n}",
                _plainly(model, n) / fast,
                promise,
                "×",
                "≥",
            )


@torch.no_grad()
def _plainly(model, n, pixels=28):
    """Seconds that the plain sampler takes for n images: each pixel is a pass over all, so some are enough."""
    c, generator = model.config, make_generator(0)
    x = torch.zeros(n, c.channels, c.height, c.width, dtype=torch.long, device=pick_device())
    model(x)
    start = time.perf_counter()
    for j in range(pixels):
        x[:, 0, 0, j] = draw(model(x)[:, 0, 0, j].cpu(), generator=generator).to(x.device)
    return (time.perf_counter() - start) * c.height * c.width / pixels


@torch.no_grad()
def videos():
    """Chapter 6: frames drawn by `sample`, which keeps what does not change, and by re-running all for every pixel.

    The draws are equal, since both have the same generator, and the logits differ by rounding alone.
    """
    given = load_bouncing_digits(16, generator=make_generator(0), frames=9).x
    for kind in (VideoPixelNetwork, IndependentPixels):
        model = kind(VPNConfig(), generator=make_generator(0)).eval()
        kept = []
        for _ in range(4):
            start = time.perf_counter()
            x = model.sample(16, frames=12, given=given, generator=make_generator(1), progress=False)
            kept.append(time.perf_counter() - start)
        start = time.perf_counter()
        same = _frames_plainly(model, given, 12, make_generator(1))
        again = time.perf_counter() - start
        name = f"{kind.__name__}, 12×12, batch 16"
        row(f"{name}: a frame", 1e3 * statistics.median(kept[1:]) / 3, None, "ms")
        row(f"{name}: over re-running all", again / statistics.median(kept[1:]), 10, "×", "≥")
        row(f"{name}: share of equal videos", (same == x).flatten(1).all(1).double().mean().item(), 1, "", "≥")


def _frames_plainly(model, given, frames, generator):
    """Frames 12 × 12 that follow `given`, with all that is there read again for every pixel."""
    x = F.pad(given, (0, 0, 0, 0, 0, 0, 0, frames - given.shape[1]))
    for t, i, j in product(range(given.shape[1], frames), range(12), range(12)):
        x[:, t, 0, i, j] = draw(model(x[:, : t + 1])[:, t, 0, i, j], generator=generator)
    return x


def sounds():
    """WaveNet of 20 layers, 32 features and 64 skip features: `sample`, the same loop in PyTorch, and the naive way.

    One sound on one core; the call before has compiled the loop, or read the compiled one. Then a step of training.
    """
    model, generator = WaveNet(WaveNetConfig(), generator=make_generator(0)), make_generator(0)
    threads, fast = torch.get_num_threads(), {}
    model.sample(1, length=10, generator=generator)
    for n, length, cores in ((1, 24_000, 1), (64, 8_000, os.cpu_count())):
        torch.set_num_threads(cores)
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            model.sample(n, length=length, generator=generator, progress=False)
            seconds.append(time.perf_counter() - start)
        fast[n] = n * length / statistics.median(seconds)
    row("WaveNet.sample, 20 layers, batch 1, one core: thousands a second", fast[1] / 1e3, 24, "k/s", "≥")
    row("WaveNet.sample, batch 64, all cores: thousands a second", fast[64] / 1e3, None, "k/s")
    # why not: see `course_lib/fast/compiled_loop.py`
    row("WaveNet.sample, batch 64 over batch 1", fast[64] / fast[1], 5, "×", "≥")
    torch.set_num_threads(1)
    u = torch.rand(500, 1, dtype=torch.float64)
    start = time.perf_counter()
    write(model, 1, 500, choose=lambda logits, t: invert_cdf(logits, u[t]))
    row("the same queues in PyTorch, batch 1", 500 / (time.perf_counter() - start), None, "/s")
    x = torch.zeros(1, model.receptive_field + 1, dtype=torch.long)
    with torch.no_grad():
        model(x)
        start = time.perf_counter()
        for _ in range(10):
            model(x)
    row("the naive way, batch 1", 10 / (time.perf_counter() - start), None, "/s")
    torch.set_num_threads(threads)
    device = pick_device()
    x = torch.randint(256, (8, 800), device=device)
    model = WaveNet(WaveNetConfig(layers=9, stacks=1), generator=make_generator(0)).to(device)
    seconds = _there_and_back(lambda: -model.log_prob(x).mean(), 20)
    row("a training step of chapter 5's size, 8 × 800 samples", 1e3 * seconds, None, "ms")


def _power(way, x):
    return way(x).square().mean()


def _there_and_back(loss, times):
    """Median seconds of a loss and its gradient, after one that warms up."""
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        loss().backward()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def mixtures():
    """Gaussian mixtures with full covariances, ours and scikit-learn's: from the same start, as many steps of EM.

    Both have all threads, and take turns, because a machine's speed drifts: medians of five, after one that warms up.
    """
    for N, D, K, steps, promise in ((100_000, 32, 16, 20, 5), (10_000, 8, 4, 100, 1)):
        generator = make_generator(0)
        centres = 3 * torch.randn(K, D, generator=generator, dtype=torch.float64)
        x = centres[torch.randint(K, (N,), generator=generator)]
        x = x + torch.randn(N, D, generator=generator, dtype=torch.float64)
        weights, width = torch.full((K,), 1 / K, dtype=torch.float64), 4 * torch.eye(D, dtype=torch.float64)
        start = weights.log(), x[torch.randperm(N, generator=generator)[:K]], width.expand(K, D, D)
        given = {"weights_init": weights, "means_init": start[1], "precisions_init": torch.linalg.inv(start[2])}
        given = {name: value.numpy() for name, value in given.items()}
        ours = GaussianMixture(GaussianMixtureConfig(K))
        theirs = mixture.GaussianMixture(K, max_iter=steps, tol=0, reg_covar=0, **given)
        settings = {"generator": generator, "max_steps": steps, "tolerance": 0, "progress": False}
        ways = {"ours": partial(ours.fit, x, init=start, **settings), "theirs": partial(theirs.fit, x.numpy())}
        seconds = {way: [] for way in ways}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged: it was told to take so many steps
            for _ in range(6):
                for way, run in ways.items():
                    began = time.perf_counter()
                    run()
                    seconds[way].append(time.perf_counter() - began)
        mine, others = (statistics.median(runs[1:]) for runs in seconds.values())
        name = f"GaussianMixture, {N:,} × {D} -> {K}, {steps} steps"
        row(name, mine, None, "s")
        row(f"{name}: over scikit-learn", others / mine, promise, "×", "≥")
        apart = (ours.log_prob(x) - torch.from_numpy(theirs.score_samples(x.numpy()))).abs().max().item()
        row(f"{name}: apart at most, millionths of a nat", 1e6 * apart, 1, "μn")


def importing():
    """`import course_lib` on top of `import torch`: medians of five fresh interpreters each."""

    def median(code):
        runs = []
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            runs.append(time.perf_counter() - start)
        return statistics.median(runs)

    row("import course_lib over import torch", median("import torch, course_lib") - median("import torch"), 0.3, "s")


def book():
    """How long the book builds, what a chapter's page weighs, and how soon it stands when opened from disk."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, ROOT / "tools" / "book.py", "--output", folder]
        subprocess.run(command, check=True, capture_output=True)
        row("make book", time.perf_counter() - start, 60, "s")
        for path in CHAPTERS:
            page = next(Path(folder).rglob(f"{path.stem}.html"))
            row(f"{path.stem}: page", page.stat().st_size / 1e6, 2.5, "MB")
            loaded = _open(page)
            if loaded:
                row(f"{path.stem}: page opens, DOM content loaded", loaded[0], 2, "s")
                row(f"{path.stem}: page with all that it loads", loaded[1] / 1e6, None, "MB")


def _open(page):
    """Seconds to DOMContentLoaded and bytes of all loaded files, median of five; None without a browser."""
    import shutil

    from playwright.sync_api import sync_playwright

    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    if not any(found):
        print("no Chromium here: apt-get install chromium measures how soon a page opens")
        return None
    seconds, files = [], {page}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=next(filter(None, found)), args=["--no-sandbox"])
        for _ in range(5):
            tab = browser.new_context(offline=True).new_page()
            tab.on("request", lambda r: files.add(Path(r.url.removeprefix("file://").split("?")[0].split("#")[0])))
            tab.goto(page.as_uri(), wait_until="load")
            seconds.append(tab.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd") / 1e3)
        browser.close()
    return statistics.median(seconds), sum(file.stat().st_size for file in files if file.is_file())


def gpu():
    """A training step on the GPU against the CPU: the chapter's model, and one of MNIST's size."""
    if not torch.cuda.is_available():
        print("no GPU here: its speed-up is measured where there is one")
        return
    sizes = {
        "digits, 64 features, batch 100": (load_digits("train")[0], AutoencoderConfig(features=64, depth=1), 100),
        "MNIST, 1024 features, batch 500": (
            load_mnist("train")[0],
            AutoencoderConfig(levels=256, height=28, width=28, latent=32, features=1024),
            500,
        ),
    }
    for name, (x, config, batch_size) in sizes.items():
        step = {}
        for device in ("cpu", "cuda"):
            times = _bare_loop(x, config, batch_size, 25, device)
            runs = [after - before for before, after in pairwise(times)]
            step[device] = statistics.median(runs[5:])
        row(f"GPU over CPU, a step: {name}", step["cpu"] / step["cuda"], None, "×")


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # a terminal that has no × gets a ?, and all its rows
    device = pick_device()
    print(f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}, {device}")
    for measure in (importing, training, sentences, searching, images, videos, sounds, mixtures, chapters, book, gpu):
        measure()
