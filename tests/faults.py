"""Faults for a farm's processes, through tests/fault/shim.c.

    page = Fault(farm, "store")     # before farm.start("store")
    page.fail_allocation(7)         # the seventh from now
    page.wall_ms = 3600000          # an hour ahead
    page.fail("rename", errno.EXDEV, path=".out", times=1)
    page.fail("write sync", KILL, path="/store/", skip=3)   # dies before the fourth of these
"""

import mmap
import pathlib
import shutil
import struct
import types

from tests.farm import BUILD

SHIM = BUILD / "tests" / "shim.so"
SPARED = ("libzmq", "libczmq", "libstdc++", "libpgm-5")  # they end their process when memory runs out (docs/design.md)
CALLS = {"fork": 1, "open": 2, "mkdir": 4, "rename": 8, "sync": 16, "write": 32, "link": 64}  # link: unlink, too
KILL = 65535  # in the place of an errno
STOP = 65534  # SIGSTOP: the call goes well, once the process is continued
SIZE = 272


def have_shim():
    """Not beside sanitizers: they put themselves in the same places."""
    return SHIM.exists()


def word(offset, form):
    def read(self):
        return struct.unpack_from(form, self.map, offset)[0]

    def write(self, value):
        struct.pack_into(form, self.map, offset, value)

    return property(read, write)


class Fault:
    countdown, allocations, hits, site = word(0, "q"), word(8, "Q"), word(16, "Q"), word(24, "Q")
    wall_ms, boot_ms, times = word(96, "q"), word(104, "q"), word(112, "q")
    calls, error, failed, skip = word(120, "I"), word(124, "I"), word(256, "Q"), word(264, "q")

    def __init__(self, farm, *names):
        """For these processes of the farm, when they start the next time; programs started beside it take .environment(program)."""
        self.path = farm.data / f"fault-{names[0]}" if names else farm.data / "fault"
        self.path.write_bytes(bytes(SIZE))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), SIZE)
        for name in names:
            farm.environments[name] = self.environment(pathlib.Path(farm.command(name)[0]).name)

    def environment(self, program):
        return {"LD_PRELOAD": str(SHIM), "FAULT_PROGRAM": program, "FAULT_PAGE": str(self.path), "FAULT_SPARED": ":".join(SPARED),
                "MALLOC_PERTURB_": "170"}

    def fail_allocation(self, number):
        self.countdown = number

    def where(self):
        name = bytes(self.map[32:96]).split(b"\0")[0].decode()
        return f"{name}+{self.site:#x}"

    def fail(self, calls, error, path="", times=1, skip=0):
        self.times, self.failed, self.skip = 0, 0, skip
        self.map[128:256] = path.encode().ljust(128, b"\0")
        self.calls, self.error = sum(CALLS[call] for call in calls.split()), error
        self.times = times


def faulted_worker(folder):
    """A folder of programs with a worker that is linked with the shim, so that all its processes are reached; and its page."""
    folder.mkdir()
    shutil.copy(BUILD / "tests" / "faulted" / "gantry-worker", folder)
    for name in ("gantry-run", "gantry-probe"):
        (folder / name).symlink_to(BUILD / name)
    return folder, Fault(types.SimpleNamespace(data=folder))
