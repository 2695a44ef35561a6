"""Turns a folder of corpora into files that `obsrv import` reads: python3 convert.py SOURCE TARGET"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import to_otlp
import to_theta


def write(path, values):
    count = 0
    with path.open("w", encoding="utf-8") as out:
        for value in values:
            out.write(json.dumps(value, ensure_ascii=False) + "\n")
            count += 1
    if count == 0:
        path.unlink()


def convert(source, target):
    to_theta.Builder.clock = 0  # the same files give the same requests
    target = pathlib.Path(target)
    target.mkdir(parents=True, exist_ok=True)
    for name, read in to_theta.ALL.items():
        write(target / f"{name}.theta.ndjson", (trace for _, trace in read(source)))
    for name, read in to_otlp.ALL.items():
        write(target / f"{name}.otlp.jsonl", read(source))
    return sorted(target.iterdir())


if __name__ == "__main__":
    for made in convert(*sys.argv[1:3]):
        print(made)
