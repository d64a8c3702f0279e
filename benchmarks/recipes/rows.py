"""The file that a comparison of many trainings grows: a row for each, written as soon as it is done."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch


def rounded(found):
    """A number, or all numbers of a nest of rows and lists: four digits behind the point are enough to read."""
    if isinstance(found, dict):
        return {name: rounded(each) for name, each in found.items()}
    if isinstance(found, list):
        return [rounded(each) for each in found]
    return round(found, 4) if isinstance(found, float) else found


def ran_on(device: torch.device) -> dict:
    """What a row says of the machine: the device, its threads, and torch's version."""
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


@dataclass(frozen=True)
class Rows:
    """A JSON file {"command": …, "settings": …, "torch": …, …, "rows": [one a line]}, never half written.

    `empty` is what else a new file has beside its rows.
    """

    path: Path
    command: str
    settings: dict
    empty: dict

    def read(self) -> dict:
        """What is stored; {} where there is no file."""
        return json.loads(self.path.read_text("utf-8")) if self.path.exists() else {}

    def begin(self, fresh: bool) -> None:
        """Make a new file where there is none, or where it is to be `fresh`.

        Raises ValueError where what is stored was made with other settings.
        """
        found = self.read()
        if found.get("settings", self.settings) != self.settings and not fresh:
            raise ValueError(f"{self.path} has rows of other settings, {found['settings']}: --fresh replaces them")
        if fresh or not found:
            self._write(self.empty | {"rows": []})

    def add(self, *rows: dict, **news) -> None:
        """Add rows, and what is new beside them, to what is stored, which others may have added to."""
        before = self.empty | {"rows": []} | self.read()
        self._write(before | news | {"rows": [*before["rows"], *rows]})

    def _write(self, found):
        about = {"command": self.command, "settings": self.settings, "torch": torch.__version__}
        found = found | about
        head = json.dumps({key: value for key, value in found.items() if key != "rows"}, indent=1)
        lines = ",\n  ".join(json.dumps(row) for row in found["rows"])
        half = self.path.with_suffix(".half")
        half.write_text(f'{head[:-2]},\n "rows": [\n  {lines}\n ]\n}}\n', "utf-8")
        os.replace(half, self.path)
