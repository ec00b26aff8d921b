"""What pyarrow reads in the Parquet files of `table.rs`.

    pip install pyarrow
    BLITZ_TABLES=FOLDER cargo test --workspace --test suite table
    python3 table_reference.py FOLDER
"""

import sys
from pathlib import Path

import pyarrow.parquet

for path in sorted(Path(sys.argv[1]).glob("*.parquet")):
    table = pyarrow.parquet.read_table(path)
    print(path.name, table.num_rows, "rows")
    for field in table.schema:
        assert not field.nullable
        print(" ", field.name, field.type, table[field.name].to_pylist()[:4])
