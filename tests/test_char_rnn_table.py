"""Chapter 3's table of real texts says what `benchmarks/char_rnn.py --keep` measured, and nothing else."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^# \| (\w+) \| \*\*([\d.]+)\*\* \| ([\d.]+) \| ([\d.]+) \| (\d+) \| ([\d,]+) \|$", re.M)


def test_the_table_has_every_kept_run_and_its_numbers():
    kept = json.loads((ROOT / "benchmarks" / "char_rnn.json").read_text("utf-8"))
    rows = ROW.findall((ROOT / "chapters" / "sources" / "03_pixelrnn_sentences.py").read_text("utf-8"))
    assert [name for name, *_ in rows] == ["poems", "tang", "names", "shakespeare"]
    assert kept.keys() == {name for name, *_ in rows}
    for name, nats, uniform, minutes, levels, weights in rows:
        run = kept[name]
        assert float(nats) == round(run["nats_per_character"], 3), name
        assert float(uniform) == round(run["uniform"], 2), name
        assert float(minutes) == round(run["minutes"], 1), name
        assert (int(levels), int(weights.replace(",", ""))) == (run["levels"], run["parameters"]), name
