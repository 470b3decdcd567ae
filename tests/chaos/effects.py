"""What runs leave in the world: a line at their begin and at their end, and files that are published. Read again by the auditor.

A line is one write() behind O_APPEND: `begin RUN ATTEMPT PID SECONDS`, `tick …` from a grandchild while it lives, `end …`.
"""

import collections
import ctypes
import os
import threading

Line = collections.namedtuple("Line", "word run attempt pid at")  # at: seconds since the machine's start


class Scripts:
    """The commands of the workload's kinds, for a folder of effects."""

    def __init__(self, folder):
        self.folder = folder
        self.log = folder / "effects.log"
        self.outputs = folder / "outputs"
        self.outputs.mkdir(parents=True)
        self.log.touch()

    def say(self, word):
        return f'read up idle </proc/uptime; echo "{word} $GANTRY_RUN_ID $GANTRY_ATTEMPT $$ $up" >>{self.log}; '

    def framed(self, middle):
        return self.say("begin") + middle + self.say("end") + 'echo "bye $GANTRY_ATTEMPT"'

    def command(self, kind, chance):
        """(command, the other fields of the task) of a run of that kind."""
        if kind == "noop":
            return self.framed(""), {"retry_count": 0}
        if kind == "seconds":  # a grandchild that outlives nobody, and a log that grows
            ticks = self.say("tick")
            middle = f"( while :; do {ticks}sleep 0.2; done ) & for i in 1 2 3 4; do echo line $i; sleep {chance.uniform(0.1, 0.7):.2f}; done; kill $!; "
            return self.framed(middle), {"retry_count": 0}
        if kind == "chatty":
            return self.framed(f"i=0; while [ $i -lt {chance.randrange(50, 400)} ]; do i=$((i+1)); echo line $i; done; "), {"retry_count": 0}
        if kind == "output":
            middle = f'echo "$GANTRY_RUN_ID $GANTRY_ATTEMPT" >"$GANTRY_OUTPUT"; sleep {chance.uniform(0, 0.3):.2f}; '
            return self.framed(middle), {"retry_count": 0, "output": f"{self.outputs}/{{{{key}}}}"}
        if kind == "flaky":  # fails on each attempt but the last that it is given, and on every second one of lost leases
            return self.framed('[ $((GANTRY_ATTEMPT % 3)) -eq 0 ] || exit 7; '), {"retry_count": 4}
        if kind == "failing":
            return self.say("begin") + "exit 9", {"retry_count": 2}
        if kind == "slow":  # to be aborted, or to run into its time
            return self.framed("sleep 60; "), {"retry_count": 0}
        if kind == "timeout":
            return self.framed("sleep 60; "), {"retry_count": 1, "timeout_seconds": 1}
        raise ValueError(kind)

    def lines(self):
        """All effects, in the order they were written."""
        found = []
        with open(self.log) as log:
            for text in log:
                word, run, attempt, pid, at = text.split()
                found.append(Line(word, int(run), int(attempt), int(pid), float(at)))
        return found


class Watcher(threading.Thread):
    """Looks at the outputs while chaos goes on: a published name must stay the file that it was."""

    def __init__(self, folder):
        super().__init__(name="watcher", daemon=True)
        self.folder = folder
        self.seen = {}  # name -> inode
        self.problems = []
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.3):
            self.look()

    def look(self):
        now = {entry.name: entry.inode() for entry in os.scandir(self.folder) if not entry.name.startswith(".")}
        for name, inode in self.seen.items():
            if now.get(name) != inode:
                self.problems.append(f"output {name} was inode {inode}, then {now.get(name, 'gone')}")
        self.seen = now

    def stop(self):
        self.over.set()
        self.join()
        self.look()


class _Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def content_hash(path):
    """XXH3 128 of a file, big-endian: as rec_published.hash."""
    library = ctypes.CDLL("libxxhash.so.0")
    library.XXH3_128bits.restype = _Hash128
    library.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    data = path.read_bytes()
    value = library.XXH3_128bits(data, len(data))
    return value.high.to_bytes(8, "big") + value.low.to_bytes(8, "big")
