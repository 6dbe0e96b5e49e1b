"""Shuffled batches by pyarrow and NumPy, in the order of our reader's kind: K shards side by side, a row group of each in
turn, K row groups permuted together, batches of float32.

Options: files, mixShards, batchSize, scale, threads.
"""
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from serve import options, serve


def batches(files, mix, size, scale):
    generator = np.random.default_rng(1)
    while True:
        order = generator.permutation(len(files))
        for first in range(0, len(files), mix):
            opened = [pq.ParquetFile(files[shard]) for shard in order[first : first + mix]]
            turns = sorted((turn / file.num_row_groups, index, group) for index, file in enumerate(opened) for turn, group in enumerate(generator.permutation(file.num_row_groups)))
            for at in range(0, len(turns), mix):
                blocks = []
                for _, index, group in turns[at : at + mix]:
                    column = opened[index].read_row_group(group, columns=["activation"])["activation"].combine_chunks()
                    blocks.append(np.frombuffer(column.buffers()[1], dtype="<f2").reshape(len(column), -1))
                pool = np.concatenate(blocks)
                permutation = generator.permutation(len(pool))
                for start in range(0, len(pool) - size + 1, size):
                    yield pool[permutation[start : start + size]].astype(np.float32) * np.float32(scale)


def set_up():
    given = options()
    pa.set_cpu_count(given["threads"])
    source = batches(given["files"], given["mixShards"], given["batchSize"], given["scale"])

    def step(_index):
        return dict(rows=next(source).shape[0])

    return f"pyarrow {pa.__version__}", given["threads"], step


serve(set_up)
