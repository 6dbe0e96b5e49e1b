"""Reading an activation shard whole, into a float32 matrix, by pyarrow and NumPy as docs/formats.md says.

Options: file, threads.
"""
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from serve import options, serve


def set_up():
    given = options()
    pa.set_cpu_count(given["threads"])

    def step(_index):
        column = pq.read_table(given["file"], columns=["activation"])["activation"].combine_chunks()
        x = np.frombuffer(column.buffers()[1], dtype="<f2").reshape(len(column), -1).astype(np.float32)
        return dict(rows=x.shape[0], magnitude=float(np.abs(x[::1000]).sum(dtype="float64")))

    return f"pyarrow {pa.__version__}", given["threads"], step


serve(set_up)
