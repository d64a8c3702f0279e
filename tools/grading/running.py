"""How a student's notebook is run: with a clock, a limit on what it may print, and an end that is always reached."""

import contextlib
import os
import subprocess
import tempfile
import time
import uuid

import psutil
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute
from traitlets import Integer

PATIENCE = 5  # seconds that a stopped kernel has to answer
CELLS = 20  # a whole notebook may take as long as this many of its slowest cells
MARK = "COURSE_GRADES_THIS"  # in the environment of a kernel, and of all that it starts


class Run(Execute):
    """nbgrader's runner, except that no cell can hold it up, flood it, or take the cells before it along.

    A cell that runs too long is stopped, and the others go on. When the kernel is gone (`exit()`, out of memory), or
    does not stop, the remaining cells count as failed, and what was run before keeps its points.
    """

    most_output = Integer(100_000, help="characters that a cell may print; the rest is dropped").tag(config=True)

    def preprocess(self, nb, resources=None, km=None):
        """Run all cells that can be run, in a folder of their own, and leave nothing running."""
        self.over, self.printed = "", {}
        self.started, self.mark = time.monotonic(), uuid.uuid4().hex
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            resources["metadata"]["path"] = scratch
            try:
                return super().preprocess(nb, resources, km)
            finally:
                end_all(self.mark)

    def setup_kernel(self, **options):
        """A kernel that shares no terminal with the teacher."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return super().setup_kernel(**quiet, env=os.environ | {MARK: self.mark}, **options)

    def preprocess_cell(self, cell, resources, index):
        """Run one cell, or note why it cannot be run any more."""
        if cell.cell_type != "code":
            return cell, resources
        if not self.over and time.monotonic() - self.started > CELLS * self.timeout:
            self.over = f"NotRun: the notebook as a whole took longer than {CELLS * self.timeout} s"
        if self.over:
            cell.outputs = [_error(self.over)]
            return cell, resources
        try:
            cell, resources = super().preprocess_cell(cell, resources, index)
        except DeadKernelError:
            self.over = "NotRun: the kernel died before this cell"
            cell.outputs.append(_error("KernelDied: exit(), or out of memory, in this cell or the one before"))
        except (CellTimeoutError, TimeoutError):  # it does not even hear that it is stopped
            cell.outputs.append(_error("CellTimeoutError: "))
        if any(output.get("ename") == "CellTimeoutError" for output in cell.outputs):
            cell.outputs = [output for output in cell.outputs if output.get("ename") != "CellTimeoutError"]
            cell.outputs.append(_error(f"Timeout: this cell was stopped after {self.timeout} s"))
            if not self._answers():
                self.over = "NotRun: an earlier cell could not be stopped"
        return cell, resources

    def output(self, outs, msg, display_id, cell_index):
        """Keep a cell's output while it is of a size that somebody could read.

        What is written to stderr is kept as if it were written to stdout: nbgrader gives 0 points to a check beside
        which something stands there, and a right answer may warn.
        """
        content = msg["content"]
        if content.get("name") == "stderr":
            content["name"] = "stdout"
        for kind, shown in content.get("data", {}).items():  # a display of anything at all, as a notebook may hold it
            if not kind.endswith("json") and not isinstance(shown, str):
                content["data"][kind] = str(shown)
        size = len(str(content))
        before = self.printed.get(cell_index, 0)
        self.printed[cell_index] = before + size
        if before + size <= self.most_output:
            return super().output(outs, msg, display_id, cell_index)
        if msg["msg_type"] == "error":  # never dropped: it decides the points
            outs.append(_error(f"{msg['content']['ename'][:100]}: {msg['content']['evalue'][:1000]}"))
            return outs[-1]
        if before <= self.most_output:
            outs.append(new_output("stream", name="stdout", text="\n… the rest of this output was dropped …\n"))
        return None

    def _answers(self):
        """Whether the kernel is free again."""
        timeout, self.timeout = self.timeout, PATIENCE
        try:
            return self.wait_for_reply(self.kc.kernel_info()) is not None
        except DeadKernelError:
            return False
        finally:
            self.timeout = timeout


def end_all(mark):
    """End every process that has `mark` in its environment, or what it can be seen of: a kernel's own and theirs."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark:
                process.kill()


def _error(text):
    name, _, why = text.partition(": ")
    return new_output("error", ename=name, evalue=why, traceback=[text])
