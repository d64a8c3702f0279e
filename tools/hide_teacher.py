"""Switch nbgrader's panels off in this environment, so that a learner's JupyterLab shows nothing of the teacher's.

`make` calls this after installing nbgrader; running it twice changes nothing. Grading needs no panel. A teacher who
wants them: `jupyter labextension enable --level=sys_prefix @jupyter/nbgrader`, and for each name in SERVER
`jupyter server extension enable --sys-prefix nbgrader.server_extensions.NAME`.
"""

import json
import sys
from pathlib import Path

ETC = Path(sys.prefix) / "etc" / "jupyter"
SERVER = ("formgrader", "validate_assignment", "assignment_list", "course_list")


def settle(path, section, values):
    """Set `values` in the innermost dictionary of `section`, in a JSON file; keep everything else that stands there."""
    before = path.read_text("utf-8") if path.is_file() else "{}"
    config = inner = json.loads(before)
    for key in section:
        inner = inner.setdefault(key, {})
    inner.update(values)
    if config != json.loads(before):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def main():
    """Write what `jupyter labextension disable` and `jupyter server extension disable` would, only faster."""
    settle(ETC / "labconfig" / "page_config.json", ["disabledExtensions"], {"@jupyter/nbgrader": True})
    off = {f"nbgrader.server_extensions.{name}": False for name in SERVER}
    # nbgrader's own file, which installing it put there: Jupyter reads it last, so no other could overrule it
    settle(ETC / "jupyter_server_config.d" / "nbgrader.json", ["ServerApp", "jpserver_extensions"], off)


if __name__ == "__main__":
    main()
