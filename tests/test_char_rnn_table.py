"""Chapter 3's table of real texts says what `benchmarks/char_rnn.py --keep` measured, and nothing else."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^# \| ([\w ]+) \((\w+)\) \| ([\d,]+) \| (\d+) \| ([\d.]+) \| \*\*([\d.]+)\*\* \| ([\d.]+) \|$", re.M)


def test_the_table_has_every_kept_run_and_its_numbers():
    kept = json.loads((ROOT / "benchmarks" / "char_rnn.json").read_text("utf-8"))
    rows = ROW.findall((ROOT / "chapters" / "03_pixelrnn_sentences.py").read_text("utf-8"))
    assert [name for _, name, *_ in rows] == ["poems", "tang", "names", "shakespeare"]
    assert kept.keys() == {name for _, name, *_ in rows}
    for _, name, parameters, levels, uniform, nats, minutes in rows:
        run = kept[name]
        said = (int(parameters.replace(",", "")), int(levels), float(uniform), float(nats), float(minutes))
        measured = (run["parameters"], run["levels"], run["uniform"], run["nats_per_character"], run["minutes"])
        assert said == tuple(round(value, digits) for value, digits in zip(measured, (0, 0, 2, 3, 1), strict=True)), (
            name
        )
