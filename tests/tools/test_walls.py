"""The walls of the house: who may include whom, how long things may be, and words that have no place in the source."""

import pathlib
import re
import unittest

from tests.tools.source import ROOMS, ROOT, functions, includes, read, tracked, without_comments

FILE_LINES = 800
FUNCTION_LINES = 100

# Headers of libraries that belong to some files only.
OWNED_HEADERS = {
    "lmdb.h": ["store/kv_lmdb.c"],
    "microhttpd.h": ["gateway/"],
    "jwt.h": ["gateway/auth_jwt.c"],
    "gnutls/gnutls.h": ["gateway/tls.c"],
    "yaml.h": ["gateway/cli/yaml.c"],
    "jansson.h": ["gateway/", "worker/", "scheduler/farms/asset/scene.c", "scheduler/farms/record/recording.c", "scheduler/farms/record/view.c", "scheduler/farms/render/end.c",
                  "scheduler/farms/transcode/health.c",
                  "scheduler/farms/transcode/told.c"],
    "curl/curl.h": ["worker/", "gateway/"],
    "czmq.h": ["proto/"],
    "zmq.h": ["proto/", "gateway/cli/", "store/", "tests/"],
}


def sources(*rooms):
    return [p for p in tracked(".c", ".h", ".def") if not rooms or p.parts[0] in rooms]


class Includes(unittest.TestCase):
    def test_there_is_something_to_look_at(self):
        for room in ROOMS:
            self.assertTrue(sources(room), f"{room} has no source")

    def test_rooms_know_proto_and_themselves(self):
        wrong = []
        for path in sources(*ROOMS):
            room = path.parts[0]
            for number, header, quoted in includes(path):
                target = header.split("/")[0]
                if quoted and target not in ("proto", room):
                    wrong.append(f"{path}:{number} includes {header}")
        self.assertEqual(wrong, [])

    def test_project_headers_are_named_from_the_root(self):
        wrong = []
        for path in sources(*ROOMS):
            for number, header, quoted in includes(path):
                if quoted != (header.split("/")[0] in ROOMS) or (quoted and not (ROOT / header).is_file()):
                    wrong.append(f"{path}:{number} {header}")
        self.assertEqual(wrong, [])

    def test_headers_of_libraries_stay_where_they_belong(self):
        wrong = []
        for path in sources(*ROOMS):
            for number, header, _ in includes(path):
                owners = OWNED_HEADERS.get(header)
                if owners and not any(str(path) == o or (o.endswith("/") and str(path).startswith(o)) for o in owners):
                    wrong.append(f"{path}:{number} includes {header}")
        self.assertEqual(wrong, [])

    def test_the_cores_code_names_no_farm(self):
        seam = ("scheduler/farms/farm.h", "scheduler/farms/farm_host.h")
        farms = [p.stem for p in sources("scheduler") if "farms" in p.parts and not p.stem.startswith("farm")]
        wrong = []
        for path in sources("scheduler"):
            if "farms" in path.parts or path.name == "main.c":
                continue
            for number, header, _ in includes(path):
                if header.startswith("scheduler/farms/") and header not in seam:
                    wrong.append(f"{path}:{number} includes {header}")
            code = without_comments(read(path))
            wrong += [f"{path} names the farm {farm}" for farm in farms if re.search(rf"\b(farm_{farm}|{farm}_farm)\b", code)]
        self.assertEqual(wrong, [])

    def test_the_core_does_no_io(self):
        """Rule 11: what decides is given its clock and its journal. The host owns sockets and files."""
        host = {"main.c", "host.c", "doors.c", "link.c", "recover.c", "zone.c"}
        forbidden = re.compile(r"\b(clock_wall_ms|clock_mono_ms|clock_mono_us|clock_gettime|time|fopen|open|socket|zmq_\w+|bus_(?!peer)\w+"
                               r"|loop_\w+|rand|random|ident_random)\s*\(")
        wrong = []
        for path in sources("scheduler"):
            if path.name in host or path.suffix != ".c":
                continue
            for number, line in enumerate(without_comments(read(path)).splitlines(), 1):
                if (found := forbidden.search(line)) and not re.search(r"(->|\.)\s*" + found.group(1), line):
                    wrong.append(f"{path}:{number} {line.strip()}")
        self.assertEqual(wrong, [])

    def test_no_circle(self):
        graph = {str(p): [h for _, h, quoted in includes(p) if quoted] for p in sources(*ROOMS)}
        state, path_now = {}, []

        def visit(node):
            state[node] = "open"
            path_now.append(node)
            for target in graph.get(node, []):
                if state.get(target) == "open":
                    self.fail("circle: " + " -> ".join(path_now[path_now.index(target):] + [target]))
                if target not in state:
                    visit(target)
            path_now.pop()
            state[node] = "done"

        for node in graph:
            if node not in state:
                visit(node)


class Sizes(unittest.TestCase):
    def test_files(self):
        long = [f"{p}: {n} lines" for p in tracked(".c", ".h", ".py", ".sh", ".cmake") if (n := read(p).count("\n")) > FILE_LINES]
        self.assertEqual(long, [])

    def test_functions(self):
        long = [f"{p}:{at} {name}: {n} lines" for p in tracked(".c", ".h") for name, at, n in functions(p) if n > FUNCTION_LINES]
        self.assertEqual(long, [])

    def test_functions_are_found(self):
        names = [name for name, _, _ in functions(pathlib.PurePosixPath("proto/clock.c"))]
        self.assertIn("clock_parse_iso", names)
        self.assertIn("read_date", names)


class Words(unittest.TestCase):
    # Put together here so that this file does not hold them itself.
    ANYWHERE = ["TO" + "DO", "FIX" + "ME", "X" * 3, "/wo" + "rk/", "/ro" + "ot/", "/home/[a-z]"]
    # The unpacker of msgpack-c reserves gigabytes for five hostile bytes; proto/token.c reads instead.
    IN_C = [r"\b(strcpy|strcat|sprintf|vsprintf|gets|tmpnam|mktemp|system|popen)\s*\(", r"\bmsgpack_unpack"]

    def test_promises_and_places(self):
        pattern = re.compile(r"(?<![A-Za-z])(" + "|".join(self.ANYWHERE) + r")(?![A-Z0-9])")
        wrong = []
        for path in tracked():
            if path.parts[0] == "tests" and "corpus" in path.parts or path.name == "LICENSE":
                continue
            for number, line in enumerate(read(path).splitlines(), 1):
                if pattern.search(line):
                    wrong.append(f"{path}:{number} {line.strip()[:100]}")
        self.assertEqual(wrong, [])

    # The command has no loop and pauses between two questions; processes that an earlier worker left are nobody's children,
    # so there is nothing to wait on; libzmq's own thread, not the loop's, spins at the descriptor limit unless it pauses.
    MAY_SLEEP = ("gateway/cli/", "worker/home.c", "proto/bus_accept.c")

    def test_no_daemon_sleeps(self):
        pattern = re.compile(r"\b(sleep|usleep|nanosleep|clock_nanosleep)\s*\(")
        wrong = [str(p) for p in sources(*ROOMS) if pattern.search(without_comments(read(p))) and not str(p).startswith(self.MAY_SLEEP)]
        self.assertEqual(wrong, [])

    def test_unsafe_calls(self):
        wrong = []
        for path in sources(*ROOMS):
            code = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', without_comments(read(path)))
            for number, line in enumerate(code.splitlines(), 1):
                if any(re.search(pattern, line) for pattern in self.IN_C):
                    wrong.append(f"{path}:{number} {line.strip()}")
        self.assertEqual(wrong, [])


class Tests(unittest.TestCase):
    def registered(self, kind):
        text = "\n".join(read(p) for p in tracked() if p.parts[0] == "tests" and p.suffix == ".cmake")
        return set(re.findall(rf"^\s*gantry_(?:memory_)?{kind}\((\w+)", text, re.M))

    def test_every_unit_test_is_registered(self):
        files = {p.stem.removeprefix("test_") for p in tracked(".c") if p.parts[:2] == ("tests", "unit") and p.stem.startswith("test_")}
        self.assertEqual(files ^ self.registered("test"), set())

    def test_every_fuzz_target_has_its_inputs(self):
        files = {p.stem.removeprefix("fuzz_") for p in tracked(".c") if p.parts[:2] == ("tests", "fuzz") and p.stem.startswith("fuzz_")}
        self.assertEqual(files ^ self.registered("fuzz"), set())
        for name in files:
            for folder in ("corpus", "regressions"):
                inputs = [p for p in tracked() if p.parts[:-1] == ("tests", "fuzz", folder, name)]
                self.assertTrue(inputs, f"tests/fuzz/{folder}/{name} is empty")


if __name__ == "__main__":
    unittest.main()
