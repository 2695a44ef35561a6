"""Mistakes in the log, the manifest and recovery, one at a time: python3 mutate.py PART [--shard K/N] [--seconds N]

PART is `wal`, `manifest` or `recovery`. cargo-mutants (`cargo install cargo-mutants`) changes one expression of the part's
files, builds, and runs the tests that must notice: first those beside the files, then, for what these let live, the crash simulator
(`--quick` leaves that out). Mutants that were caught are not tried again: what came of each is kept below --output, so a run that was ended
goes on where it was. At the end a line is added to tests/campaigns/mutation.md; survivors are printed, and each is to be explained
there or killed by a test."""

import argparse
import datetime
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
RECORD = ROOT / "tests" / "campaigns" / "mutation.md"
# The tests that must notice, as a package, what cargo is told of it, after how many seconds a test counts as one that hangs,
# and so has noticed, and what cargo builds with. Only tests that take seconds: each runs for every mutant. What takes most is to
# build each anew, so for tests that are done at once nothing is optimised, nothing says where it was in the source, and what
# the compiler knows of the rest of the crate is kept.
PLAIN = ["--config=profile.dev.debug=0", *(f"--config=profile.dev.package.{name}.opt-level=0" for name in ("obsrv-wal", "obsrv-engine"))]
WAL = ("obsrv-wal", ["--lib", "--tests"], 60, PLAIN)
ENGINE = ("obsrv-engine", ["--lib", "--", "manifest::", "engine::"], 60, PLAIN)
SIM = ("obsrv-tests", ["--test", "sim", "--", "recovery::", "crash::every_call", "damage::a_damaged_manifest"], 300, PLAIN[:1])
PARTS = {
    "wal": (["wal/src/log/*.rs"], [WAL]),
    "manifest": (["engine/src/manifest/*.rs"], [ENGINE, SIM]),
    "recovery": (["engine/src/engine/open.rs"], [ENGINE, SIM]),
}


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def outcomes(output):
    """Mutants by what came of them, over all runs. A run lists its own; those that do not build are passed over by the next ones
    as those that were caught are, so they are written down apart."""
    now = output / "mutants.out"
    unviable = {*lines(output / "unviable.txt"), *lines(now / "unviable.txt")}
    (output / "unviable.txt").write_text("".join(f"{mutant}\n" for mutant in sorted(unviable)))
    timeout = {*lines(output / "timeout.txt"), *lines(now / "timeout.txt")}
    (output / "timeout.txt").write_text("".join(f"{mutant}\n" for mutant in sorted(timeout)))
    caught = {*lines(now / "caught.txt"), *lines(now / "previously_caught.txt")} - unviable
    tried = {*lines(output / "missed.txt"), *lines(now / "missed.txt")}
    missed = tried - caught - timeout
    (output / "missed.txt").write_text("".join(f"{mutant}\n" for mutant in sorted(missed)))
    return sorted(caught | timeout), sorted(missed)


def run(flags, output, files, stage, until):
    """One pass over what was not caught yet. False if the time is over."""
    package, tests, hangs, built = stage
    command = ["cargo", "mutants", "--iterate", "--no-shuffle", "--colors", "never", "--output", str(output)]
    command += ["--shard", flags.shard, "--timeout", str(hangs), "--gitignore", "true", "--test-package", package]
    for file in files:
        command += ["--file", file]
    command += ["--re", flags.only] if flags.only else []
    command += [f"--cargo-arg={arg}" for arg in built]
    command += ["--", *tests] if tests else []
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, env=os.environ | {"CARGO_INCREMENTAL": "1"})
    try:
        process.wait(None if until is None else max(1, until - time.monotonic()))
        return True
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
        print("the time is over: the next run goes on")
        return False


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("part", choices=PARTS)
    flags.add_argument("--shard", default="0/1")
    flags.add_argument("--seconds", type=float, default=None)
    flags.add_argument("--output", type=pathlib.Path, default=None)
    flags.add_argument("--quick", action="store_true", help="by the tests beside the files alone")
    flags.add_argument("--only", default=None, help="mutants whose name has this, a regular expression")
    flags = flags.parse_args()
    files, stages = PARTS[flags.part]
    output = flags.output or ROOT / "target" / "mutation" / f"{flags.part}-{flags.shard.replace('/', '-of-')}"
    output.mkdir(parents=True, exist_ok=True)
    until = None if flags.seconds is None else time.monotonic() + flags.seconds
    for stage in stages[:1] if flags.quick else stages:
        is_done = run(flags, output, files, stage, until)
        killed, missed = outcomes(output)
        if not is_done or not missed:
            break
    tried = len(killed) + len(missed)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")
    share = f"{100 * len(killed) // tried}%" if tried else "-"
    what = flags.part + (f", `{flags.only}`".replace("|", "\\|") if flags.only else "") + (", quick" if flags.quick else "")
    line = f"| {when} | {commit} | {what} | {flags.shard} | {tried} | {len(killed)} | {share} | {os.cpu_count()} cores |\n"
    with RECORD.open("a") as record:
        record.write(line)
    print(line, *missed, sep="\n")
    sys.exit(0 if not missed else 1)


if __name__ == "__main__":
    main()
