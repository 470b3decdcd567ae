"""The store's disk: full, damaged, short of descriptors. What was acknowledged stays, and what cannot be read is refused and left alone."""

import os
import pathlib
import resource
import subprocess
import unittest

from tests.farm import BUILD, SLOW, Farm, clean_environment, wait_for
from tests.patience import PATIENT

TEXT = "x" * 60000
REFUSED = dict(PATIENT, bus_deadline_ms=15000)  # a write that met the full disk is refused when its time is over
PAGE = 4096


def newest_leaves(database):
    """The last leaf of each tree, as LMDB's file is laid out (store/kv_page.c)."""
    def number(at, size):
        return int.from_bytes(database[at:at + size], "little")

    def nodes(page):
        pointers = range(page * PAGE + 16, page * PAGE + number(page * PAGE + 12, 2), 2)
        return [page * PAGE + number(at, 2) for at in pointers]

    def last_leaf(page):
        while number(page * PAGE + 10, 2) & 1:  # a branch
            page = number(nodes(page)[-1], 6)
        return page

    def trees(page):
        """The roots that are named in a tree."""
        if number(page * PAGE + 10, 2) & 1:
            return [root for node in nodes(page) for root in trees(number(node, 6))]
        return [number(node + 8 + number(node + 6, 2) + 40, 8) for node in nodes(page) if number(node + 4, 2) & 2]

    state = max((0, PAGE), key=lambda at: number(at + 144, 8))
    free, tables = number(state + 40 + 40, 8), number(state + 88 + 40, 8)
    roots = [free, tables] + trees(tables)
    return [last_leaf(root) for root in roots if root < len(database) // PAGE]  # an empty tree has no root


def fsck(farm):
    done = subprocess.run([str(BUILD / "gantry"), "fsck", "--data", str(farm.data)], capture_output=True, text=True,
                          env=clean_environment(), timeout=120 * SLOW)
    return done.returncode, done.stdout + done.stderr


def can_mount():
    return os.geteuid() == 0 and pathlib.Path("/proc/self/ns/mnt").exists()


class Full(unittest.TestCase):
    def fill(self, farm, task):
        """Writes until one is refused; answers the runs that were acknowledged, and the refusal."""
        accepted = []
        for _ in range(20000):
            answer = farm.post(f"/api/tasks/{task}/trigger", {"parameters": {"text": TEXT}}, headers={"Accept-Language": "en"}, timeout=90)
            if answer.status != 201:
                return accepted, answer
            accepted.append(answer.body["data"]["run_id"])
        self.fail("the disk does not become full")

    def live_through(self, farm, make_full, make_room):
        task = farm.task("before")
        make_full()
        accepted, refused = self.fill(farm, task)
        error = refused.body["error"]
        self.assertEqual((refused.status, error["code"]), (503, "DATABASE_ERROR"))
        self.assertRegex(error["message"], "(?i)no space|file too large|full")
        maybe = 1 if "outcome is unknown" in error["message"] else 0  # the one that met the full disk may come true later
        store = farm.pid("store")
        # Reads go on, every one of them; health says what the matter is.
        self.assertEqual(farm.data_of(farm.get("/api/tasks"))["total"], 1)
        for run in accepted[:3] + accepted[-3:]:
            self.assertEqual(farm.run(run)["id"], run)
        self.assertEqual(farm.data_of(farm.get(f"/api/runs?task_id={task}"))["total"], len(accepted))
        # What was measured before is told for a second.
        wait_for(lambda: farm.get("/api/system/health").body["data"]["status"] != "healthy", 60, "a farm that is not healthy")
        # Refused is refused: with the same key it is done once, later.
        key = {"Idempotency-Key": "when-there-is-room"}
        self.assertEqual(farm.post(f"/api/tasks/{task}/trigger", {"parameters": {"text": TEXT}}, headers=key, timeout=90).status, 503)
        make_room()
        wait_for(lambda: farm.post(f"/api/tasks/{task}/trigger", {"parameters": {"text": TEXT}}, headers=key, timeout=90).status == 201,
                 60, "writes going through again")
        self.assertEqual(farm.pid("store"), store)
        self.assertTrue(farm.running("store"))
        there = farm.data_of(farm.get(f"/api/runs?task_id={task}"))["total"]
        self.assertIn(there, (len(accepted) + 1, len(accepted) + 1 + maybe))
        wait_for(lambda: farm.get("/api/system/health").body["data"]["status"] == "healthy", 60, "a healthy farm")
        for name in ("store", "scheduler"):
            farm.terminate(name)
            if name == "store":
                self.assertEqual(fsck(farm)[0], 0, fsck(farm)[1])
            farm.start(name)
        farm.wait_ready()
        self.assertEqual(farm.data_of(farm.get(f"/api/runs?task_id={task}"))["total"], there)

    def test_a_file_at_its_limit(self):
        with Farm(workers=0, **REFUSED) as farm:
            files = [path for path in (farm.data / "store").iterdir()]
            most = max(path.stat().st_blocks * 512 for path in files) + (4 << 20)
            unlimited = resource.RLIM_INFINITY
            self.live_through(farm,
                              lambda: resource.prlimit(farm.pid("store"), resource.RLIMIT_FSIZE, (most, unlimited)),
                              lambda: resource.prlimit(farm.pid("store"), resource.RLIMIT_FSIZE, (unlimited, unlimited)))

    @unittest.skipUnless(can_mount(), "mounting a small disk needs root")
    def test_a_small_disk(self):
        with Farm(workers=0, start=False, store_ballast_mb=4, **REFUSED) as farm:
            store = farm.data / "store"
            store.mkdir(mode=0o700)
            if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=700", "tmpfs", str(store)], stderr=subprocess.DEVNULL).returncode:
                self.skipTest("cannot mount here")
            filler = store / "filler"
            try:
                farm.start_all()

                def make_full():
                    with open(filler, "wb") as file:
                        try:
                            while True:
                                file.write(b"x" * (1 << 16))
                                file.flush()
                        except OSError:
                            pass

                self.live_through(farm, make_full, filler.unlink)
                for name in ("gateway", "scheduler", "store"):
                    farm.terminate(name)
            finally:
                for name in ("gateway", "scheduler", "store"):
                    if farm.running(name):
                        farm.kill(name)
                subprocess.run(["umount", str(store)], check=True)


class Damaged(unittest.TestCase):
    """A file that is not what it was: one clear line, code 1, nothing changed; never a signal."""

    def damaged(self, change):
        with Farm(workers=0, start=False, **PATIENT) as farm:
            farm.start_all()
            task = farm.task("kept")
            for _ in range(30):
                farm.trigger(task, parameters={"text": "y" * 3000})
            for name in ("gateway", "scheduler", "store"):
                farm.terminate(name)
            path = farm.data / "store/data.mdb"
            whole = path.read_bytes()
            for words, bytes_ in change(whole):
                path.write_bytes(bytes_)
                farm.start("store")
                code = farm.exit_code("store")
                self.assertEqual(code, 1, words)
                self.assertRegex(farm.log("store").strip().splitlines()[-1], "damaged|truncated|not a database", words)
                self.assertEqual(path.read_bytes(), bytes_, words)
                code, said = fsck(farm)
                self.assertEqual(code, 1, (words, said))
            path.write_bytes(whole)
            farm.start_all()
            self.assertEqual(farm.data_of(farm.get(f"/api/runs?task_id={task}"))["total"], 30)

    def test_truncated(self):
        self.damaged(lambda whole: [(f"cut to {length}", whole[:length]) for length in (1, 4095, 4096, 8191, 8192, len(whole) // 2)])

    def test_first_pages(self):
        page = 4096

        def changes(whole):
            for number in (0, 1):
                at = number * page
                yield f"page {number} zeroed", whole[:at] + bytes(page) + whole[at + page:]
                yield f"page {number} garbled", whole[:at] + bytes((i * 37) & 255 for i in range(page)) + whole[at + page:]
            yield "both zeroed", bytes(2 * page) + whole[2 * page:]

        self.damaged(changes)

    def test_the_newest_leaf(self):
        """The one page that was being written when the power went: of each tree the last, where what is new goes."""
        def changes(whole):
            half = bytes((i * 37 + 5) & 255 for i in range(PAGE // 2))
            leaves = newest_leaves(whole)
            self.assertGreater(len(leaves), 3)
            for leaf in leaves:
                yield f"leaf {leaf}", whole[:leaf * PAGE + PAGE // 2] + half + whole[(leaf + 1) * PAGE:]

        self.damaged(changes)

    def test_pages_of_data(self):
        page = 4096

        def changes(whole):
            half = bytes((i * 37 + 5) & 255 for i in range(page // 2))
            count = len(whole) // page
            used = [n for n in range(2, count) if any(whole[n * page:(n + 1) * page])]
            torn = bytearray(whole)
            for number in used:  # the second half of each was never written
                torn[number * page + page // 2:(number + 1) * page] = half
            yield "torn", bytes(torn)
            zeroed = bytearray(whole)
            for number in used:
                zeroed[number * page:(number + 1) * page] = bytes(page)
            yield "zeroed", bytes(zeroed)

        self.damaged(changes)


class Descriptors(unittest.TestCase):
    def test_store_at_its_limit(self):
        """Who is connected is served; who comes is, once there is room again."""
        with Farm(workers=0, **PATIENT) as farm:
            task = farm.task("few descriptors")
            pid = farm.pid("store")
            used = len(os.listdir(f"/proc/{pid}/fd"))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, 4096))
            for _ in range(20):
                farm.trigger(task)
            self.assertEqual(farm.data_of(farm.get(f"/api/runs?task_id={task}"))["total"], 20)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (4096, 4096))
            farm.restart("gateway")
            farm.wait_ready()
            farm.trigger(task)
            self.assertEqual(farm.pid("store"), pid)


if __name__ == "__main__":
    unittest.main()
