#!/usr/bin/python3
"""Runs the tests in every build and sums them up; `./dev test` builds first and calls this.

    tests/run.py [unit fuzz contract scenario chaos sim tools] [-k NAME] [--asan-only] [--release-only] [--serial] [-v]

unit and fuzz are programs that ctest knows; the other kinds are unittest modules in tests/<kind>/test_*.py, whose classes run
two at a time (a module that says SERIAL = True runs alone). Each test has a time limit, TIME_LIMIT of its module or 600 s.
Failures are printed whole at the end; the last line is `N passed, N failed`. Whatever a test leaves running is a failure.
"""

import argparse
import ctypes
import faulthandler
import importlib.util
import io
import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
import unittest

TESTS = pathlib.Path(__file__).resolve().parent
ROOT = TESTS.parent
PROGRAM_KINDS = ["unit", "fuzz"]
MODULE_KINDS = ["tools", "contract", "scenario", "chaos", "sim"]
TIME_LIMIT = 600.0  # for what hangs: the longest takes a tenth of it, on a machine that is not busy
PROGRAM_LIMIT = 600.0
END_LIMIT = 60.0  # in which what was killed is gone
FOR_MODULES = ("GANTRY_FAULT_STRIDE",)  # what whoever runs this may tell them
BUILDS = {"release": (ROOT / "build", 1), "asan": (ROOT / "build" / "asan", 3)}  # folder, how much its limits are stretched


class Outcome:
    def __init__(self, name, status, text="", seconds=0.0):
        self.name, self.status, self.text, self.seconds = name, status, text, seconds  # status: passed, failed, skipped


# ---- one test class, in a process of its own ----


def load_module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def class_tests(suite):
    """{class name: [test names]} of a loaded suite; an import error shows as a class of its own."""
    found = {}
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            for name, tests in class_tests(item).items():
                found.setdefault(name, []).extend(tests)
        else:
            found.setdefault(type(item).__name__, []).append(item.id().rsplit(".", 1)[1])
    return found


class LineResult(unittest.TestResult):
    """Says what begins and how it ended, one JSON line each, to the parent."""

    def __init__(self, out):
        super().__init__()
        self.out = out
        self.began = 0.0
        self.bad = ""

    def say(self, **words):
        self.out.write(json.dumps(words) + "\n")
        self.out.flush()

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        self.bad = ""
        self.say(event="begin", test=test.id().rsplit(".", 1)[1])

    def stopTest(self, test):
        super().stopTest(test)
        status = "failed" if self.bad else "skipped" if self.skipped and self.skipped[-1][0] is test else "passed"
        self.say(event="end", test=test.id().rsplit(".", 1)[1], status=status, text=self.bad, seconds=time.monotonic() - self.began)

    def note(self, test, error):
        text = "".join(traceback.format_exception(*error))
        if isinstance(test, unittest.TestCase):
            self.bad += text
        else:  # setUpClass, tearDownClass: a failure beside the tests
            self.say(event="end", test=str(test).split(" ", 1)[0], status="failed", text=text, seconds=0)

    def addError(self, test, error):
        super().addError(test, error)
        self.note(test, error)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.note(test, error)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        if not isinstance(test, unittest.TestCase):  # setUpClass skips all of them
            self.say(event="end", test=str(test).split(" ", 1)[0], status="skipped", text=reason, seconds=0)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self.note(test, error)


def child_main(descriptor, path, class_name, tests):
    """Runs some tests of a class; the outcomes go to that descriptor."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    os.set_inheritable(descriptor, False)
    out = os.fdopen(descriptor, "w")
    module = load_module(pathlib.Path(path))
    one = getattr(module, class_name)
    unittest.TestSuite(one(name) for name in tests).run(LineResult(out))


def list_main(path):
    """Prints the classes of a module, their tests, and the module's wishes."""
    module = load_module(pathlib.Path(path))
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    wishes = {"serial": getattr(module, "SERIAL", False), "limit": getattr(module, "TIME_LIMIT", TIME_LIMIT)}
    print(json.dumps(dict(wishes, classes=class_tests(suite))))


# ---- jobs ----


def processes():
    """(pid, parent, group) of everything that runs and is no zombie."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = pathlib.Path("/proc", entry, "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[0] != "Z":
                found.append((int(entry), int(fields[1]), int(fields[2])))
    return found


def wait_gone(pids):
    """What was killed goes on for a moment, and who looks in that moment would take it for left running."""
    until = time.monotonic() + END_LIMIT
    while time.monotonic() < until and pids & {pid for pid, _, _ in processes()}:
        time.sleep(0.01)


def end_tree(pid):
    """Kills a process and everything below it, whatever sessions they are in."""
    tree = {pid}
    rows = processes()
    while True:
        more = {one for one, parent, _ in rows if parent in tree} - tree
        if not more:
            break
        tree |= more
    for one in tree:
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            pass
    wait_gone(tree)


def end_group(process):
    """Kills what a test that has ended left in its group."""
    left = {pid for pid, _, group in processes() if group == process.pid}
    if left:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        wait_gone(left)


class ProgramJob:
    """A cmocka program or a fuzz replay: its output says test by test how it went."""

    def __init__(self, build, name, command, environment, stretch):
        self.name, self.command, self.environment = f"{build}/{name}", command, environment
        self.limit = PROGRAM_LIMIT * stretch
        self.serial = False
        self.fuzz = name.startswith("fuzz.")
        self.cmocka = not self.fuzz and command[0].endswith("/test_" + name.partition(".")[2])

    def run(self):
        began = time.monotonic()
        process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   env=self.environment, start_new_session=True)
        try:
            text = process.communicate(timeout=self.limit)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            end_tree(process.pid)
            text = process.communicate()[0].decode(errors="replace") + f"\n{self.name} took over {self.limit:.0f} s\n"
        end_group(process)
        return self.read(text, process.returncode, time.monotonic() - began)

    def read(self, text, code, seconds):
        pattern = r"^(ok|not ok) \d+ - (.*)$" if self.fuzz else r"^\[ +(OK|FAILED|SKIPPED|ERROR) +\] (\w+)$"
        status = {"ok": "passed", "OK": "passed", "SKIPPED": "skipped"}
        found = {}
        for word, test in re.findall(pattern, text, re.M):
            found.setdefault(test, status.get(word, "failed"))
        shown = [Outcome(f"{self.name}:{os.path.relpath(test, ROOT) if self.fuzz else test}", how, text if how == "failed" else "")
                 for test, how in found.items()]
        if not shown and not self.cmocka and code == 0:  # a script of its own kind: it says how many, or counts as one
            count = re.findall(r"^Ran (\d+) tests? in", text, re.M)
            shown = [Outcome(f"{self.name}:{n + 1}", "passed") for n in range(int(count[-1]) if count else 1)]
        if not shown or (code != 0 and not any(o.status == "failed" for o in shown)):
            begun = re.findall(r"^\[ RUN +\] (\w+)$|^# (.*)$", text, re.M)
            last = "".join(begun[-1]) if begun else "start"
            shown.append(Outcome(f"{self.name}: exit code {code} after {last}", "failed", text))
        shown[0].seconds = seconds
        return shown


class ClassJob:
    """A unittest class in a process of its own. A test over its limit ends the process; the tests behind it get a new one."""

    def __init__(self, build, kind, path, class_name, tests, wishes, environment, stretch):
        self.prefix = f"{build}/{kind}/{path.stem}.{class_name}"
        self.name = self.prefix
        self.path, self.class_name, self.tests, self.environment = path, class_name, tests, environment
        self.limit = wishes["limit"] * stretch
        self.serial = wishes["serial"]

    def run(self):
        outcomes, left = [], list(self.tests)
        while left:
            done = self.run_once(left)
            outcomes += done
            names = {o.name.rsplit(".", 1)[1] for o in done}
            rest = [test for test in left if test not in names]
            if len(rest) == len(left):  # not one of them was reached: setUpClass failed, or the module does not load
                if not done:
                    outcomes.append(Outcome(f"{self.prefix}.start", "failed", "no test ran"))
                break
            left = rest
        return outcomes

    def run_once(self, tests):
        read_end, write_end = os.pipe()
        command = [sys.executable, str(TESTS / "run.py"), "--child", str(write_end), str(self.path), self.class_name, *tests]
        log = io.BytesIO()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT,
                                   env=self.environment, start_new_session=True, pass_fds=(write_end,))
        os.close(write_end)
        drain = threading.Thread(target=lambda: log.write(process.stdout.read()))
        drain.start()
        lines = queue.Queue()
        reader = threading.Thread(target=self.read_lines, args=(read_end, lines))
        reader.start()
        outcomes = self.follow(lines, process)
        process.wait()
        end_group(process)
        drain.join(END_LIMIT)
        reader.join(END_LIMIT)
        text = log.getvalue().decode(errors="replace")
        if process.returncode != 0 and not any(o.status == "failed" for o in outcomes):
            outcomes.append(Outcome(f"{self.prefix}.exit", "failed", f"exit code {process.returncode}"))
        for outcome in outcomes:
            if outcome.status == "failed":
                outcome.text += f"\n---- output of {self.prefix}\n{text}"
        return outcomes

    @staticmethod
    def read_lines(descriptor, lines):
        with os.fdopen(descriptor) as pipe:
            for line in pipe:
                lines.put(json.loads(line))
        lines.put(None)

    def follow(self, lines, process):
        outcomes, current = [], None
        while True:
            try:
                line = lines.get(timeout=self.limit)
            except queue.Empty:
                name = current or "setUpClass or tearDownClass"
                os.kill(process.pid, signal.SIGUSR1)  # its stack goes into the output
                time.sleep(0.5)
                end_tree(process.pid)
                outcomes.append(Outcome(f"{self.prefix}.{name}", "failed", f"took over {self.limit:.0f} s"))
                return outcomes
            if line is None:
                if current:
                    outcomes.append(Outcome(f"{self.prefix}.{current}", "failed", "its process ended in the middle of it"))
                return outcomes
            if line["event"] == "begin":
                current = line["test"]
            else:
                current = None
                outcomes.append(Outcome(f"{self.prefix}.{line['test']}", line["status"], line["text"], line["seconds"]))


# ---- gathering ----


def base_environment():
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GANTRY_")}
    # libzmq is the distribution's, without instrumentation: what it orders by atomics looks like a race to ThreadSanitizer.
    return dict(environment, UBSAN_OPTIONS="print_stacktrace=1", TSAN_OPTIONS="ignore_noninstrumented_modules=1")


def program_jobs(build, kinds, wanted):
    folder, stretch = BUILDS[build]
    text = subprocess.run(["ctest", "--test-dir", str(folder), "--show-only=json-v1"], check=True, capture_output=True, text=True).stdout
    for test in json.loads(text)["tests"]:
        if test["name"].split(".")[0] in kinds and wanted(f"{build}/{test['name']}"):
            yield ProgramJob(build, test["name"], test["command"], base_environment(), stretch)


def module_jobs(build, kind, wanted):
    folder, stretch = BUILDS[build]
    told = {k: os.environ[k] for k in FOR_MODULES if k in os.environ}
    environment = dict(base_environment(), GANTRY_BUILD=str(folder), GANTRY_TEST_SLOW=str(stretch), PYTHONPATH=str(ROOT), **told,
                       PYTHONDONTWRITEBYTECODE="1")
    for path in sorted((TESTS / kind).glob("test_*.py")):
        listing = subprocess.run([sys.executable, str(TESTS / "run.py"), "--list", str(path)], capture_output=True, text=True,
                                 cwd=ROOT, env=environment)
        if listing.returncode != 0:
            yield BrokenJob(f"{build}/{kind}/{path.stem}", listing.stdout + listing.stderr)
            continue
        wishes = json.loads(listing.stdout.splitlines()[-1])
        for class_name, tests in wishes["classes"].items():
            prefix = f"{build}/{kind}/{path.stem}.{class_name}"
            tests = [test for test in tests if wanted(f"{prefix}.{test}")]
            if tests:
                yield ClassJob(build, kind, path, class_name, tests, wishes, environment, stretch)


class BrokenJob:
    def __init__(self, name, text):
        self.name, self.text, self.serial = name, text, False

    def run(self):
        return [Outcome(self.name, "failed", self.text)]


def gather(options):
    kinds = options.kinds or PROGRAM_KINDS + MODULE_KINDS
    builds = ["asan"] if options.asan_only else ["release"] if options.release_only else ["release", "asan"]
    if options.build:
        builds = [pathlib.Path(folder).resolve().name for folder in options.build]
        BUILDS.update({name: (pathlib.Path(folder).resolve(), 3) for name, folder in zip(builds, options.build)})

    def wanted(name):
        return all(word in name for word in options.k)

    jobs = []
    for build in builds:
        if set(kinds) & set(PROGRAM_KINDS):
            jobs += program_jobs(build, kinds, wanted)
        for kind in MODULE_KINDS:
            # What looks at the source looks at it once.
            if kind in kinds and (kind != "tools" or build == builds[0]):
                jobs += module_jobs(build, kind, wanted)
    return jobs


# ---- running ----


def left_running():
    """What is below this process though every test has ended: as a subreaper it inherits every orphan."""
    found = []
    for pid, parent, _ in processes():
        if parent == os.getpid():
            try:
                words = pathlib.Path("/proc", str(pid), "cmdline").read_bytes()
            except OSError:
                continue
            found.append((pid, words.replace(b"\0", b" ").decode(errors="replace").strip()))
    return found


def reason(text):
    """The line that says most of a failure: who reads only the end of a long output still learns it."""
    lines = [line.strip() for line in text.split("\n---- output of")[0].splitlines() if line.strip()]
    said = [line for line in lines if re.match(r"(\w+\.)*\w*(Error|Exception|Expired|Exit)\b|\[ *(ERROR|FAILED) *\]|SUMMARY:|.*: runtime error: ", line)]
    return (said or lines or ["it says nothing"])[-1][:300]


class Board:
    def __init__(self, verbose):
        self.verbose, self.outcomes, self.lock = verbose, [], threading.Lock()

    def put(self, job, outcomes, seconds):
        with self.lock:
            self.outcomes += outcomes
            count = {s: sum(o.status == s for o in outcomes) for s in ("passed", "failed", "skipped")}
            words = ", ".join(f"{n} {s}" for s, n in count.items() if n)
            print(f"{'FAIL' if count['failed'] else 'ok  '} {job.name}: {words} ({seconds:.1f} s)", flush=True)
            for outcome in outcomes:
                if outcome.status == "failed" or self.verbose:
                    print(f"       {outcome.status} {outcome.name} ({outcome.seconds:.2f} s)", flush=True)


def run_jobs(jobs, board, at_once):
    waiting = queue.Queue()
    for job in jobs:
        waiting.put(job)

    def work():
        while True:
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                return
            began = time.monotonic()
            try:
                outcomes = job.run()
            except Exception:  # the runner's own fault is a failure too, never a silence
                outcomes = [Outcome(job.name, "failed", traceback.format_exc())]
            board.put(job, outcomes, time.monotonic() - began)

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main():
    parser = argparse.ArgumentParser(prog="./dev test")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(PROGRAM_KINDS + MODULE_KINDS) + "; all by default")
    parser.add_argument("-k", action="append", default=[], metavar="NAME", help="only tests whose name contains this")
    parser.add_argument("--asan-only", action="store_true", help="only the build with ASan and UBSan")
    parser.add_argument("--release-only", action="store_true", help="only the release build")
    parser.add_argument("--build", action="append", metavar="FOLDER", help="another build instead, such as build/tsan")
    parser.add_argument("--serial", action="store_true", help="one at a time")
    parser.add_argument("-v", action="store_true", help="name every test")
    options = parser.parse_args()
    for kind in options.kinds:
        if kind not in PROGRAM_KINDS + MODULE_KINDS:
            parser.error(f"unknown kind \"{kind}\"; there are {', '.join(PROGRAM_KINDS + MODULE_KINDS)}")

    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    began = time.monotonic()
    board = Board(options.v)
    jobs = gather(options)
    run_jobs([job for job in jobs if not job.serial], board, 1 if options.serial else 2)
    run_jobs([job for job in jobs if job.serial], board, 1)
    for pid, command in left_running():
        board.outcomes.append(Outcome(f"left running: {command}", "failed", f"process {pid} outlived the tests"))
        end_tree(pid)

    failed = [o for o in board.outcomes if o.status == "failed"]
    for outcome in failed:
        print(f"\n======== {outcome.name}\n{outcome.text}")
    slowest = sorted(board.outcomes, key=lambda o: -o.seconds)[:5]
    print("\nslowest: " + ", ".join(f"{o.name} {o.seconds:.1f} s" for o in slowest))
    skipped = [o.name for o in board.outcomes if o.status == "skipped"]
    if skipped:
        print("skipped: " + ", ".join(skipped))
    for outcome in failed:
        print(f"FAILED {outcome.name}: {reason(outcome.text)}")
    print(f"{time.monotonic() - began:.0f} s")
    print(f"{sum(o.status == 'passed' for o in board.outcomes)} passed, {len(failed)} failed", flush=True)
    return 1 if failed or not any(o.status == "passed" for o in board.outcomes) else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child_main(int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:])
    elif sys.argv[1:2] == ["--list"]:
        list_main(sys.argv[2])
    else:
        sys.exit(main())
