"""A campaign in rounds, with its record: python3 campaign.py NAME [--count N] [--seed N] [--seconds N] [--no-build]

NAME is one of `sim`, `sim-calls` (each call of small workloads the last, and six states that it may leave), `damage` (every byte and length of small files), `model`, `kill9`, `power`, or a target of `fuzz/` such as `fuzz/otlp_json`. A round is a command
that ends by itself; each has a seed of its own, counted up from --seed. The campaign ends once the rounds add up to
--count, or after the round in which --seconds are over, or with the first violation. Every round is a line in
tests/campaigns/NAME.md as soon as it is over, so that one that is cut short has still counted; without --seed it goes on
after the last seed that is written there. --binary says what is run, and then nothing is built."""

import argparse
import datetime
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
RECORDS = ROOT / "tests" / "campaigns"
HEAD = "| when (UTC) | commit | seed | round | {what} | seconds | violations | machine |\n|---|---|---|---|---|---|---|---|\n"
VIOLATION_LINES = 60


class Campaign:
    """How one round is run, and how its count is read off."""

    def __init__(self, what, goal, size, count, command, build=None, step=lambda size: 1):
        self.what, self.goal, self.size, self.count = what, goal, size, re.compile(count)
        self.command, self.build, self.step = command, build, step


def cargo_test(name):
    """Builds a suite and gives the path of its binary."""
    told = subprocess.run(
        ["cargo", "test", "-p", "obsrv-tests", "--test", name, "--no-run"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stderr
    return str((ROOT / re.search(r"Executable .*\((.*)\)", told)[1]).resolve())


def obsrv(_):
    subprocess.run(["cargo", "build", "--release", "--bin", "obsrv"], cwd=ROOT, check=True)
    return str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "obsrv")


def of_test(test, seeds, first):
    def command(binary, seed, size):
        settings = {seeds: size, first: seed, "OBSRV_SIM_THREADS": 1}
        arguments = [binary, "--exact", test, "--nocapture", "--test-threads", "1"]
        return ["env", *(f"{k}={v}" for k, v in settings.items()), *arguments]

    return command


def of_script(path, *more):
    def command(binary, seed, size):
        script = ROOT / "tests" / "suites" / path
        return ["env", f"OBSRV_BIN={binary}", sys.executable, str(script), "--cycles", str(size), "--seed", str(seed), *more]

    return command


def fuzz(target):
    def command(_, seed, size):
        options = ["-max_len=4096", "-print_final_stats=1", "-verbosity=0"]
        return ["env", "OBSRV_NO_BUILD=1", str(ROOT / "fuzz" / "run"), target, f"-runs={size}", f"-seed={seed}", *options]

    def build(_):
        subprocess.run([str(ROOT / "fuzz" / "run"), target, "-runs=0"], cwd=ROOT, check=True)

    return Campaign("executions", 10_000_000, 500_000, r"number_of_executed_units:\s*(\d+)", command, build)


CAMPAIGNS = {
    "sim": Campaign(
        "crash points", 1_000_000, 500, r"random lives: (\d+) crash points",
        of_test(
            "crash::nothing_acknowledged_is_lost_doubled_or_changed_at_random_crash_points",
            "OBSRV_SIM_SEEDS", "OBSRV_SIM_FIRST",
        ),
        lambda _: cargo_test("sim"), step=lambda size: size,
    ),
    "sim-calls": Campaign(
        "crash points", 1_000_000, 40, r"every call leaves many states: (\d+) crash points",
        of_test("crash::every_call_of_small_workloads_may_leave_many_states", "OBSRV_SIM_WORKLOADS", "OBSRV_SIM_FIRST"),
        lambda _: cargo_test("sim"), step=lambda size: size,
    ),
    "damage": Campaign(
        "damages", 164_000, 1, r"damages in all: (\d+)",
        of_test(
            "damage::every_byte_of_every_kind_of_file_is_found_or_harmless_and_repair_makes_it_sound",
            "OBSRV_DAMAGE_PARTS", "OBSRV_DAMAGE_PART",
        ),
        lambda _: cargo_test("sim"),
    ),
    "model": Campaign(
        "queries", 100_000, 100, r"\bquestions (\d+)",
        of_test(
            "every_answer_equals_the_row_by_row_oracle",
            "OBSRV_MODEL_SEEDS", "OBSRV_MODEL_FIRST",
        ),
        lambda _: cargo_test("model"), step=lambda size: size,
    ),
    "kill9": Campaign("kills", 2_000, 200, r"(\d+) kills", of_script("kill9/kill9.py"), obsrv),
    "power": Campaign("power cuts", 1_000, 100, r"(\d+) power cuts", of_script("power/power.py"), obsrv),
}


def commit():
    short = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain", "wal", "engine", "server"], cwd=ROOT, capture_output=True, text=True)
    return short + ("+" if changed.stdout.strip() else "")


def machine():
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}"


def rows(record):
    """Seed, size and count of every round on record."""
    if not record.exists():
        return []
    lines = [line.split("|")[1:-1] for line in record.read_text().splitlines() if re.match(r"\| \d{4}-", line)]
    return [tuple(int(cell.strip().replace(",", "")) for cell in line[2:5]) for line in lines]


def note(record, campaign, line):
    text = record.read_text() if record.exists() else ""
    head = HEAD.format(what=campaign.what)
    if head not in text:
        text = text.rstrip("\n") + ("\n\n" if text else "") + "## Rounds\n\n" + head
    record.write_text(text.rstrip("\n") + "\n" + "| " + " | ".join(line) + " |\n")


def round_of(campaign, binary, seed, size):
    """Count, seconds and, of a violation, what was printed."""
    begun = time.monotonic()
    done = subprocess.run(campaign.command(binary, seed, size), capture_output=True, text=True, cwd=ROOT)
    said = done.stdout + done.stderr
    counted = campaign.count.search(said)
    seconds = time.monotonic() - begun
    return int(counted[1]) if counted else 0, seconds, said if done.returncode or not counted else None


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("name")
    flags.add_argument("--count", type=int, help="the goal of issue and record if not given, less what is on record")
    flags.add_argument("--seed", type=int)
    flags.add_argument("--seconds", type=float, default=float("inf"))
    flags.add_argument("--round", type=int, help="how much one round does")
    flags.add_argument("--binary", help="what is run instead of what would be built")
    flags.add_argument("--commit", help="what --binary was built from; this checkout if not given")
    flags.add_argument("--no-build", action="store_true", help="of fuzz targets: run what an earlier call built")
    flags = flags.parse_args()
    campaign = fuzz(flags.name.removeprefix("fuzz/")) if flags.name.startswith("fuzz/") else CAMPAIGNS[flags.name]
    record = RECORDS / (flags.name.replace("/", "-") + ".md")
    before = rows(record)
    size = flags.round or campaign.size
    seed = flags.seed
    if seed is None:
        seed = max((s + campaign.step(n) for s, n, _ in before), default=1)
    wanted = flags.count
    if wanted is None:
        wanted = campaign.goal - sum(count for *_, count in before)
    binary = flags.binary
    if not binary and not flags.no_build:
        binary = campaign.build(None)
    begun, made = time.monotonic(), 0
    while made < wanted and time.monotonic() - begun < flags.seconds:
        when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")
        count, seconds, violation = round_of(campaign, binary, seed, size)
        made += count
        line = [when, flags.commit or commit(), str(seed), f"{size:,}", f"{count:,}", f"{seconds:.0f}", "1" if violation else "0", machine()]
        note(record, campaign, line)
        print(*line, sep=" | ", flush=True)
        if violation:
            print(*violation.splitlines()[-VIOLATION_LINES:], sep="\n", file=sys.stderr)
            sys.exit(1)
        seed += campaign.step(size)
    total = sum(count for *_, count in rows(record))
    print(f"{flags.name}: {made:,} {campaign.what} now, {total:,} on record, goal {campaign.goal:,}")


if __name__ == "__main__":
    main()
