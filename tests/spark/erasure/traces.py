"""What is in OUTPUT, read without the code of the product."""

import hashlib

import pyarrow.dataset as ds
from deltalake import DeltaTable


def stored(output, table="features"):
    return ds.dataset(DeltaTable(str(output / table)).file_uris()).to_table().to_pandas()


def tree(root):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file()}


def files_that_hold(root, *needles):
    """Without the product's own search: raw bytes, and Parquet by its values."""
    found = []
    for path in root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content += repr(ds.dataset(path).to_table().to_pylist()).encode()
            found += [str(path.relative_to(root)) for needle in needles if needle in content]
    return found
