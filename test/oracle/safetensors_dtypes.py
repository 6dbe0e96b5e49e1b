"""A safetensors file of every dtype the project handles, written by the Python library.

Why: weights cross between this project and Python tools in both directions; data/safetensors.ts must read these bytes
and, given the same tensors, write the same ones.
Run: pip install numpy safetensors && python test/oracle/safetensors_dtypes.py
Writes dtypes.safetensors beside itself.
"""
import pathlib

import numpy as np
from safetensors.numpy import save

TENSORS = {
    "weights.f32": np.array([[0.5, -1.25, 3.0e38], [1.0e-40, -0.0, np.inf]], np.float32),
    "a.scalar": np.array(7.5, np.float32),
    "half": np.array([1.0, -2.5, 65504.0, 6.0e-8], np.float16),
    "ints.32": np.array([-(2**31), -1, 2**31 - 1], np.int32),
    "ints.64": np.array([[-(2**63)], [2**63 - 1]], np.int64),
    "bytes": np.array([0, 1, 255], np.uint8),
    "double": np.array([0.1], np.float64),
    "flags": np.array([True, False], np.bool_),
    "empty": np.zeros((0, 4), np.float32),
    "Gewicht ü \"quoted\"": np.array([1, 2, 65535], np.uint16),
}

content = save(TENSORS, metadata={"format": "np"})
(pathlib.Path(__file__).resolve().parent / "dtypes.safetensors").write_bytes(content)
