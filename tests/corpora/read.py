"""Reads corpus files, compressed or not."""

import csv
import gzip
import io
import json
import pathlib
import subprocess


def text_of(path):
    """The whole text of a .gz, .zst or plain file."""
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes()).decode()
    if path.suffix == ".zst":
        run = subprocess.run(["zstd", "-dcq", "--long=27", path], check=True, capture_output=True)
        return run.stdout.decode()
    return path.read_text()


def stream_of(path):
    """The text of a file line by line, without holding it."""
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path), newline="")
    if path.suffix == ".zst":
        child = subprocess.Popen(["zstd", "-dcq", "--long=27", path], stdout=subprocess.PIPE)
        return io.TextIOWrapper(child.stdout, newline="")
    return path.open(newline="")


def files(root, pattern):
    """Files of a corpus by name; none when the corpus is not there."""
    return sorted(pathlib.Path(root).glob(pattern))


def lines(root, pattern):
    """(path, value) of every line of the JSON-lines files."""
    for path in files(root, pattern):
        for line in stream_of(path):
            yield path, json.loads(line)


def tables(root, pattern):
    """Rows of the CSV files, as dicts."""
    for path in files(root, pattern):
        yield from csv.DictReader(stream_of(path))


def documents(root, pattern):
    """(path, value) of the JSON files."""
    for path in files(root, pattern):
        yield path, json.loads(text_of(path))
