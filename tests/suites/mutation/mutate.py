"""Mistakes in the log, the manifest and recovery, one at a time: python3 mutate.py PART [--shard K/N] [--seconds N]

PART is `wal`, `manifest` or `recovery`. cargo-mutants (`cargo install cargo-mutants`) changes one expression of the part's
files, builds, and runs the tests that must notice. Mutants that were caught are not tried again: what came of each is kept below
--output, so a run that was ended goes on where it was. At the end a line is added to tests/campaigns/mutation.md; survivors are
printed, and each is to be explained there or killed by a test."""

import argparse
import datetime
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
RECORD = ROOT / "tests" / "campaigns" / "mutation.md"
# Files, the packages whose tests must notice, and after how many seconds a test counts as one that hangs, and so has noticed.
# Only tests that take seconds: each runs for every mutant.
PARTS = {
    "wal": (["wal/src/log/*.rs"], ["obsrv-wal"], [], 30),
    "manifest": (["engine/src/manifest/*.rs"], ["obsrv-engine", "obsrv-tests"], ["--test", "sim", "--", "crash::every_call"], 300),
    "recovery": (["engine/src/engine/open.rs"], ["obsrv-tests"], ["--test", "sim", "--", "recovery::", "crash::every_call"], 300),
}


def outcomes(output):
    """Mutants by what came of them."""
    counts = {"caught": [], "missed": [], "unviable": [], "timeout": []}
    for name, found in counts.items():
        listed = output / "mutants.out" / f"{name}.txt"
        found += listed.read_text().splitlines() if listed.exists() else []
    before = output / "mutants.out" / "previously_caught.txt"
    counts["caught"] += before.read_text().splitlines() if before.exists() else []
    return {name: sorted(set(found)) for name, found in counts.items()}


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("part", choices=PARTS)
    flags.add_argument("--shard", default="0/1")
    flags.add_argument("--seconds", type=float, default=None)
    flags.add_argument("--output", type=pathlib.Path, default=None)
    flags = flags.parse_args()
    files, packages, tests, hangs = PARTS[flags.part]
    output = flags.output or ROOT / "target" / "mutation" / f"{flags.part}-{flags.shard.replace('/', '-of-')}"
    output.mkdir(parents=True, exist_ok=True)
    command = ["cargo", "mutants", "--iterate", "--no-shuffle", "--colors", "never", "--output", str(output)]
    command += ["--shard", flags.shard, "--timeout", str(hangs), "--gitignore", "true"]
    for file in files:
        command += ["--file", file]
    for package in packages:
        command += ["--test-package", package]
    command += ["--", *tests] if tests else []
    try:
        subprocess.run(command, cwd=ROOT, timeout=flags.seconds)
    except subprocess.TimeoutExpired:
        print(f"ended after {flags.seconds:.0f} s: the next run goes on")
    found = outcomes(output)
    tried = len(found["caught"]) + len(found["missed"]) + len(found["timeout"])
    killed = len(found["caught"]) + len(found["timeout"])
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")
    share = f"{100 * killed // tried}%" if tried else "-"
    line = f"| {when} | {commit} | {flags.part} | {flags.shard} | {tried} | {killed} | {share} | {os.cpu_count()} cores |\n"
    with RECORD.open("a") as record:
        record.write(line)
    print(line, *found["missed"], sep="\n")
    sys.exit(0 if not found["missed"] else 1)


if __name__ == "__main__":
    main()
