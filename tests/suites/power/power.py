"""Power cuts of a real file system under the real binary: python3 power.py [--cycles N] [--seed N] [--mount OPTIONS]

The data directory is on a loop device with ext4. A cut is the shutdown ioctl without a flush of the journal: what
neither the file nor the journal has on the device is gone, whatever the page cache says. Then the process is killed,
the file system mounted again (which replays its journal), and the server started over what is left. The ledger is that
of kill9: nothing acknowledged is lost, nothing doubled, no batch there by half.

Needs root, loop devices and mkfs.ext4; where one is missing it prints SKIPPED and why, and ends with 2.

`--no-sync` runs the server with a library that turns every sync into nothing. Then the suite must fail: it ends with 0
if it did, and with 1 if a server without syncs got by."""

import argparse
import contextlib
import fcntl
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kill9"))

import kill9
from server import Obsrv

# _IOR('X', 125, u32) and its flag for "do not flush the journal".
SHUTDOWN = (2 << 30) | (4 << 16) | (ord("X") << 8) | 125
NO_LOG_FLUSH = 2
IMAGE_BYTES = 2 << 30
SYNC_LESS = "int fsync(int f){(void)f;return 0;} int fdatasync(int f){(void)f;return 0;}\n"


class Skipped(Exception):
    pass


def sh(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Skipped(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


class Device:
    """A file with a file system in it, mounted by a loop device."""

    def __init__(self, folder, options):
        self.image, self.place = folder / "image", folder / "mount"
        self.options = ",".join(filter(None, ["loop", options]))
        self.place.mkdir()
        with self.image.open("wb") as image:
            image.truncate(IMAGE_BYTES)
        sh("mkfs.ext4", "-q", "-F", self.image)
        self.mount()

    def mount(self):
        sh("mount", "-o", self.options, self.image, self.place)

    def unmount(self):
        for _ in range(100):
            if subprocess.run(["umount", self.place], capture_output=True).returncode == 0:
                return
            time.sleep(0.05)
        raise AssertionError(f"{self.place} stays busy")

    def cut(self):
        handle = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        except OSError as refused:
            raise Skipped(f"shutdown ioctl: {refused}") from refused
        finally:
            os.close(handle)


class Powered(Obsrv):
    """A server whose crash is that of its machine."""

    def __init__(self, device, folder, *flags):
        super().__init__(device.place / "data", *flags)
        self.device = device
        self.log = folder / "server.log"  # what it says is not on the device
        self.cuts = 0

    def kill(self):
        self.device.cut()
        self.cuts += 1
        super().kill()
        self.device.unmount()
        self.device.mount()


def run(flags, folder):
    chance = random.Random(flags.seed)
    ledger = kill9.Ledger()
    begun = time.monotonic()
    device = Device(folder, flags.mount)
    obsrv = Powered(device, folder, "--memory", kill9.MEMORY)
    try:
        obsrv.start()
        for number in range(flags.cycles):
            kill9.cycle(obsrv, ledger, number, flags.seed, chance)
            if number % 50 == 49:
                kill9.check_list(kill9.Reader(obsrv), ledger)
                print(f"{number + 1} cuts, {time.monotonic() - begun:.0f} s", flush=True)
        there = kill9.check_list(kill9.Reader(obsrv), ledger)
        kill9.check(kill9.Reader(obsrv), ledger, sorted(ledger.allowed))
        obsrv.stop()
        findings = obsrv.run("verify", str(obsrv.data)).stdout.strip().splitlines()[-1]
    except AssertionError:
        if not flags.no_sync:
            print(obsrv.logged(), file=sys.stderr)
        raise
    finally:
        if obsrv.child:
            Obsrv.kill(obsrv)
        device.unmount()
    assert ledger.cut_off > 0 and ledger.acknowledged > flags.cycles, "the load never met a cut"
    print(
        f"{obsrv.cuts} power cuts (ext4 {flags.mount or 'default'}), {ledger.acknowledged} requests acknowledged, "
        f"{ledger.cut_off} cut off, {there} traces read back equal, verify: {findings}, "
        f"{time.monotonic() - begun:.0f} s, seed {flags.seed}"
    )


def without_syncs(folder):
    source, library = folder / "sync_less.c", folder / "sync_less.so"
    source.write_text(SYNC_LESS)
    sh("cc", "-shared", "-fPIC", "-o", library, source)
    os.environ["LD_PRELOAD"] = str(library)


def main():
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--cycles", type=int, default=100)
    flags.add_argument("--seed", type=int, default=1)
    flags.add_argument("--mount", default="", help="mount options, such as commit=1000 or data=journal")
    flags.add_argument("--no-sync", action="store_true")
    flags = flags.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # so that nothing stays mounted
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="obsrv-power-")))
        try:
            if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
                raise Skipped("needs root and mkfs.ext4")
            if not flags.no_sync:
                return run(flags, folder)
            without_syncs(folder)
            try:
                run(flags, folder)
            except (AssertionError, ConnectionError) as noticed:
                print(f"a server without syncs is noticed: {str(noticed).splitlines()[0][:120]}")
                return None
            sys.exit("a server without syncs got by: this suite finds nothing")
        except Skipped as why:
            print(f"SKIPPED: {why}")
            sys.exit(2)


if __name__ == "__main__":
    main()
