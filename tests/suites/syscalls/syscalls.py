"""System calls of the real binary that fail: python3 syscalls.py [--cycles N] [--seed N]

Each cycle runs the server under strace, which makes the Nth call of one sort fail for one thread, while four writers
send. Whatever comes of it (the server goes on, refuses writes, or ends), the server is then killed and started again
without strace, and the ledger of kill9 is held against it: nothing acknowledged is lost, nothing is there twice, no
batch is there by half. A failed sync of the log must end the process with a code other than 0.

Needs strace; without it this prints SKIPPED and ends with 2."""

import argparse
import collections
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kill9"))

import kill9
from server import Obsrv, binary

# Which calls fail, how, and the greatest N.
FAULTS = [
    ("fdatasync", "EIO", 60),
    ("fsync", "EIO", 12),
    ("pwrite64", "EIO", 200),
    ("pwrite64", "ENOSPC", 200),
    ("pwrite64", "EDQUOT", 200),
    ("pwrite64", "EROFS", 200),
    ("pread64", "EIO", 200),
    ("openat", "EMFILE", 150),
    ("openat", "ENFILE", 150),
    ("renameat2", "EIO", 6),
    ("renameat2", "ENOSPC", 6),
    ("unlinkat", "EIO", 6),
    ("accept4", "EMFILE", 20),
    ("accept4", "ENFILE", 20),
]
WRAPPER = """#!/bin/sh
exec strace -D -f -qq --seccomp-bpf -o /dev/null -e trace={call} -e inject={call}:error={error}:when={at} {binary} "$@"
"""
LOAD_SECONDS = 0.4


def injected(obsrv, folder, fault, at):
    """Starts the server so that one call fails. False if it ended at its start."""
    call, error, _ = fault
    real = binary()
    wrapper = folder / "wrapper.sh"
    wrapper.write_text(WRAPPER.format(call=call, error=error, at=at, binary=real))
    wrapper.chmod(0o700)
    os.environ["OBSRV_BIN"] = str(wrapper)
    try:
        obsrv.start()
        return True
    except AssertionError:
        return False
    finally:
        os.environ["OBSRV_BIN"] = real


def ended(obsrv):
    """The code with which the server ended by itself, if it did."""
    give_up = time.monotonic() + 2
    code = obsrv.child.poll()
    while code is None and time.monotonic() < give_up:
        time.sleep(0.02)
        code = obsrv.child.poll()
    return code


def cycle(obsrv, ledger, number, flags, folder, counts):
    chance = random.Random(f"{flags.seed}/{number}")
    fault = FAULTS[number % len(FAULTS)]
    at = chance.randint(1, fault[2])
    name = f"{fault[0]}={fault[1]}"
    before = set(ledger.allowed)
    if injected(obsrv, folder, fault, at):
        writers = [kill9.Writer(obsrv, ledger, number, n, flags.seed) for n in range(kill9.WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(LOAD_SECONDS)
        code = obsrv.child.poll() if fault[0] != "fdatasync" else ended(obsrv)
        assert code != 0, f"{name} at {at}: ended as if all were well"
        counts[name, "ended" if code else "went on"] += 1
        if code is None:
            obsrv.kill()
        for writer in writers:
            writer.join()
            if writer.failure:
                raise writer.failure
    else:
        counts[name, "did not start"] += 1
        if obsrv.child and obsrv.child.poll() is None:
            obsrv.kill()
    obsrv.child = None
    obsrv.start()
    touched = sorted(set(ledger.allowed) - before)
    older = chance.sample(sorted(before), min(kill9.CHECK_AGAIN, len(before)))
    kill9.check(kill9.Reader(obsrv), ledger, touched + older)
    obsrv.kill()


def main():
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--cycles", type=int, default=56)
    flags.add_argument("--seed", type=int, default=1)
    flags = flags.parse_args()
    if not shutil.which("strace"):
        print("SKIPPED: needs strace")
        sys.exit(2)
    counts, ledger, begun = collections.Counter(), kill9.Ledger(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="obsrv-syscalls-") as name:
        folder = pathlib.Path(name)
        obsrv = Obsrv(folder / "data", "--memory", kill9.MEMORY)
        os.environ["OBSRV_BIN"] = binary()
        obsrv.start()
        obsrv.kill()
        try:
            for number in range(flags.cycles):
                cycle(obsrv, ledger, number, flags, folder, counts)
            obsrv.start()
            there = kill9.check_list(kill9.Reader(obsrv), ledger)
            kill9.check(kill9.Reader(obsrv), ledger, sorted(ledger.allowed))
            obsrv.stop()
            obsrv.run("verify", str(obsrv.data))
        except AssertionError:
            print(obsrv.logged(), file=sys.stderr)
            raise
        finally:
            obsrv.end()
    for (fault, outcome), times in sorted(counts.items()):
        print(f"{fault}: {outcome} {times}")
    assert any(fault.startswith("fdatasync") and outcome == "ended" for fault, outcome in counts), "no sync failed"
    print(
        f"{flags.cycles} failing calls, {ledger.acknowledged} requests acknowledged, {ledger.cut_off} refused or cut off, "
        f"{there} traces read back equal, {time.monotonic() - begun:.0f} s, seed {flags.seed}"
    )


if __name__ == "__main__":
    main()
