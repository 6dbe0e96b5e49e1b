"""What pyarrow, polars and DuckDB find in an activation shard, as SHA-256 of each column's values: float16, then int32.

Argument: the file. Prints one JSON object: {reader and version: {column: SHA-256}}.
"""
import hashlib
import json
import sys

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

file = sys.argv[1]
integers = ["document", "position", "token"]


def hashes(vectors, columns):
    sha256 = lambda array: hashlib.sha256(np.ascontiguousarray(array)).hexdigest()
    assert vectors.dtype == np.dtype("<f2")
    return dict(activation=sha256(vectors), **{name: sha256(np.asarray(column, dtype="<i4")) for name, column in columns.items()})


def by_pyarrow():
    table = pq.read_table(file, page_checksum_verification=True)
    column = table["activation"].combine_chunks()
    return hashes(np.frombuffer(column.buffers()[1], dtype="<f2").reshape(len(column), -1), {name: table[name].to_numpy() for name in integers})


def by_polars():
    frame = pl.read_parquet(file)
    return hashes(np.frombuffer(b"".join(frame["activation"]), dtype="<f2"), {name: frame[name].to_numpy() for name in integers})


def by_duckdb():
    rows = duckdb.sql(f"SELECT activation, document, position, token FROM '{file}'").fetchnumpy()
    return hashes(np.frombuffer(b"".join(rows["activation"]), dtype="<f2"), {name: rows[name] for name in integers})


print(json.dumps({f"pyarrow {pa.__version__}": by_pyarrow(), f"polars {pl.__version__}": by_polars(), f"DuckDB {duckdb.__version__}": by_duckdb()}))
