"""A Jupyter kernel driven line by line: one JSON order on standard input, one JSON answer on standard output.

It runs as the ordinary user, in a process of its own, with nothing but nbclient and ipykernel around it, so that what the
kernel leaves behind can be seen from outside. `{"do": "run", "code": ...}` runs a cell to its end, "begin" starts one, "end"
waits for the one that was started; "interrupt", "restart", "kill" and "delete" are what a notebook's menu does.
"""

from __future__ import annotations

import json
import queue
import sys
from typing import Any

import nbformat
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


def collect(kc: Any, message: str, timeout: float) -> dict[str, Any]:
    """Gather what a cell prints and shows until the kernel is idle again."""
    answer: dict[str, Any] = {"status": "ok", "text": "", "shown": []}
    while True:
        try:
            got = kc.get_iopub_msg(timeout=timeout)
        except queue.Empty:
            return answer | {"status": "silent", "message": f"the kernel said nothing for {timeout} s"}
        if got["parent_header"].get("msg_id") != message:
            continue
        kind, content = got["msg_type"], got["content"]
        if kind == "stream":
            answer["text"] += content["text"]
        elif kind in ("execute_result", "display_data"):
            answer["shown"].append(sorted(content["data"]))
        elif kind == "error":
            answer |= {"status": "error", "error": content["ename"], "message": content["evalue"]}
        elif kind == "status" and content["execution_state"] == "idle":
            return answer


def execute(path: str) -> dict[str, Any]:
    """Run a whole notebook as `jupyter execute` does."""
    notebook = nbformat.read(path, as_version=4)
    try:
        NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
    except CellExecutionError as error:
        return {"status": "error", "message": str(error)}
    return {"status": "ok", "outputs": [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]}


def serve() -> None:
    """Start a kernel and obey."""
    km, kc = start_new_kernel(kernel_name="python3", startup_timeout=60)
    message = ""
    for line in sys.stdin:
        order = json.loads(line)
        answer: dict[str, Any] = {}
        match order["do"]:
            case "pid":
                pass
            case "run":
                message = kc.execute(order["code"])
                answer = collect(kc, message, order.get("timeout", 60))
            case "begin":
                message = kc.execute(order["code"])
            case "end":
                answer = collect(kc, message, order.get("timeout", 60))
            case "interrupt":
                km.interrupt_kernel()
            case "restart" | "kill":
                kc.stop_channels()
                km.restart_kernel(now=order["do"] == "kill")
                kc = km.client()
                kc.start_channels()
                kc.wait_for_ready(timeout=60)
            case "delete":
                kc.stop_channels()
                km.shutdown_kernel(now=order.get("now", False))
        pid = km.provisioner.pid if km.provisioner is not None and km.provisioner.has_process else None
        print(json.dumps(answer | {"kernel": pid}), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(execute(sys.argv[1])), flush=True)
    else:
        serve()
