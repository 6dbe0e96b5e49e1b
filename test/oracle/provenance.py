"""Why: every reference output says which script and which versions made it, and is written the same way each time.

Tensors are computed in float64 and stored as float32; integers as int32.
"""
import json
import pathlib
import platform
import re
import sys

import numpy as np
from safetensors.numpy import save

HERE = pathlib.Path(__file__).resolve().parent


def provenance(script):
    """The script and the versions that made an output."""
    versions = {"script": f"test/oracle/{pathlib.Path(script).name}", "python": platform.python_version()}
    for name in ("numpy", "torch", "safetensors"):
        if name in sys.modules:
            versions[name] = sys.modules[name].__version__
    return versions


def save_tensors(name, script, tensors, metadata):
    stored = {}
    for key, value in tensors.items():
        array = np.asarray(value.detach().numpy() if hasattr(value, "detach") else value)
        stored[key] = np.ascontiguousarray(array.astype(np.int32 if array.dtype.kind in "iu" else np.float32))
    about = {"precision": "computed in float64, stored as float32", **provenance(script), **metadata}
    # One key, because the library writes several in an order that changes from run to run.
    content = save(stored, metadata={"oracle": json.dumps(about)})
    (HERE / name).write_bytes(content)
    print(f"{name}: {len(stored)} tensors, {len(content)} bytes")


def save_json(name, script, value):
    text = json.dumps({"madeBy": provenance(script), **value}, indent=1)
    (HERE / name).write_text(collapse_number_lists(text) + "\n")
    print(f"{name}: {len(text)} bytes")


def collapse_number_lists(text):
    """One row of numbers a line: readable in a diff."""
    def one_line(match):
        return re.sub(r"\s+", " ", match.group(0)).replace("[ ", "[").replace(" ]", "]")

    return re.sub(r"\[[^\[\]{}]*\]", one_line, text)
