"""`gantry task create -f`, `update -f` and `apply`: tasks from files of YAML and JSON."""

import json
import subprocess
import unittest

from tests.farm import SLOW, wait_for
from tests.up import GANTRY, Up, environment

TASKS = """\
# Two tasks, the second behind the first.
name: nightly
task_type: shell
executor: shell
command: echo "$1"
arguments: [8080, no, 1.10]
env: {PORT: 8080, DEBUG: off}
schedule: 0 2 29 2 *
priority: high
retry_count: 5
metadata: {timezone: Asia/Shanghai, level: 3}
---
name: report
task_type: shell
executor: shell
command: "true"
dependencies: [nightly]
"""


class WithFarm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.up = Up()
        cls.up.__enter__()
        cls.addClassCleanup(cls.up.__exit__, None, None, None)
        cls.up.wait_ready()

    def gantry(self, *words, text=None):
        return subprocess.run([GANTRY, *words, "--url", self.up.url], env=environment(), input=text or "", text=True, capture_output=True,
                              timeout=120 * SLOW)

    def good(self, *words, text=None):
        done = self.gantry(*words, text=text)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        return done.stdout

    def bad(self, code, word, *words, text=None):
        done = self.gantry(*words, text=text)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (code, 1), done)
        self.assertIn(word, done.stderr)
        return done.stdout

    def shown(self, name):
        return json.loads(self.good("task", "show", name, "--json"))

    def file(self, name, text):
        path = self.up.folder / name
        path.write_text(text)
        return str(path)

    def total(self):
        return self.up.get("/api/tasks?size=1")["total"]


class Apply(WithFarm):
    def test_made_then_unchanged_then_changed(self):
        path = self.file("tasks.yaml", TASKS)
        self.assertRegex(self.good("task", "apply", "-f", path), r"^task \d+ nightly created\ntask \d+ report created\n$")
        first = self.shown("nightly")
        self.assertEqual((first["arguments"], first["env"]), (["8080", "no", "1.10"], {"PORT": "8080", "DEBUG": "off"}))
        self.assertEqual((first["metadata"], first["retry_count"]), ({"timezone": "Asia/Shanghai", "level": 3}, 5))
        self.assertRegex(self.good("task", "apply", "-f", path), r"^task \d+ nightly unchanged\ntask \d+ report unchanged\n$")
        self.assertEqual(self.shown("nightly")["updated_at"], first["updated_at"])
        shorter = self.file("shorter.yaml", "name: nightly\ntask_type: shell\nexecutor: shell\ncommand: echo new\n")
        self.assertRegex(self.good("task", "apply", "-f", shorter), r"^task \d+ nightly updated\n$")
        changed = self.shown("nightly")
        self.assertEqual((changed["id"], changed["command"], changed["arguments"], changed["schedule"]), (first["id"], "echo new", [], None))
        self.assertEqual((changed["priority"], changed["retry_count"], changed["timeout_seconds"], changed["metadata"]), ("normal", 3, 3600, {}))
        self.assertNotIn("env", changed)
        self.assertRegex(self.good("task", "apply", "-f", shorter), "unchanged")

    def test_limits_and_conditions(self):
        self.good("pool", "set", "disks", "--limit", "2")
        task = "task_type: shell\nexecutor: shell\ncommand: 'true'\n"
        text = f"name: first\n{task}---\nname: second\n{task}pool: disks\nrate: 30\ndependencies: [{{task: first, on: any}}]\n"
        self.assertIn("second created", self.good("task", "apply", "-f", "-", text=text))
        second = self.shown("second")
        self.assertEqual((second["pool"], second["rate"]), ("disks", 30))
        self.assertEqual(second["dependencies"], ["first"])
        self.assertEqual(second["dependency_conditions"], {"first": "any"})
        self.good("task", "apply", "-f", "-", text=text)
        self.assertEqual(dict(self.shown("second"), updated_at=None), dict(second, updated_at=None))
        self.assertIn("second updated", self.good("task", "apply", "-f", "-", text=f"name: second\n{task}"))
        second = self.shown("second")
        self.assertEqual(second["dependencies"], [])
        self.assertEqual({"pool", "rate", "dependency_conditions"} & set(second), set())
        self.assertIn("second unchanged", self.good("task", "apply", "-f", "-", text=f"name: second\n{task}"))

    def test_several_files_and_stdin(self):
        one = self.file("one.json", json.dumps([{"name": "j1", "task_type": "shell", "executor": "shell", "command": "true"}]))
        text = "- {name: s1, task_type: shell, executor: shell, command: a}\n- {name: s2, task_type: shell, executor: shell, command: b}\n"
        done = self.good("task", "apply", "-f", one, "-f", "-", text=text)
        self.assertEqual([line.split()[2:] for line in done.splitlines()], [["j1", "created"], ["s1", "created"], ["s2", "created"]])
        answers = self.good("task", "apply", "-f", one, "--json")
        self.assertEqual(json.loads(answers)["name"], "j1")

    def test_a_task_of_a_single_run_is_none_of_its_name(self):
        flag = self.up.folder / "go-on"
        run = int(self.good("run", "--name", "single", "--shell", f"while [ ! -e {flag} ]; do sleep 0.05; done"))
        text = "{name: single, task_type: shell, executor: shell, command: 'true'}"
        self.bad(1, "a single run of that name has not ended", "task", "apply", "-f", self.file("single.yaml", text))
        flag.touch()
        wait_for(lambda: self.up.get(f"/api/runs/{run}")["status"] == "completed", 60, "the end of the single run")
        self.assertIn("created", self.good("task", "apply", "-f", self.file("single.yaml", text)))
        self.assertNotEqual(self.shown("single")["id"], self.up.get(f"/api/runs/{run}")["task_id"])

    def test_nothing_is_sent_before_all_is_understood(self):
        before = self.total()
        for word, text in (("no field \"retries\"", "name: a\n---\nname: b\nretries: 3\n"), ("task 2 of the files has no name", "name: a\n---\ncommand: b\n"),
                           ("two tasks of the name \"a\"", "name: a\n---\nname: a\n"), ("line 2", "name: a\nname: b\n"), ("no task in it", ""),
                           ("nested too deeply", "metadata: " + "[" * 40 + "]" * 40), ("merge keys", "a: &a {b: c}\nname: {<<: *a}\n")):
            with self.subTest(word):
                self.bad(2, word, "task", "apply", "-f", "-", text=text)
        self.bad(2, "needs -f FILE", "task", "apply")
        self.bad(2, "No such file", "task", "apply", "-f", "/nonexistent")
        self.bad(2, "larger than 4 MiB", "task", "apply", "-f", "-", text="# " + "x" * (5 << 20))
        self.assertEqual(self.total(), before)

    def test_up_to_the_first_that_is_refused(self):
        text = ("{name: f1, task_type: shell, executor: shell, command: a}\n---\n{name: f2, task_type: shell, executor: shell, command: a, "
                "retry_count: many}\n---\n{name: f3, task_type: shell, executor: shell, command: a}\n")
        out = self.bad(1, "task \"f2\" (2 of 3): ", "task", "apply", "-f", "-", text=text)
        self.assertRegex(out, r"^task \d+ f1 created\n$")
        self.bad(1, "there is no task", "task", "show", "f3")


class Create(WithFarm):
    def test_several(self):
        ids = self.good("task", "create", "-f", self.file("two.yaml", TASKS)).split()
        self.assertEqual(len(ids), 2)
        self.assertEqual(self.up.get(f"/api/tasks/{ids[1]}")["dependencies"], ["nightly"])
        self.bad(2, "NAME and options are for one task", "task", "create", "name", "-f", self.file("two.yaml", TASKS))
        self.bad(2, "NAME and options are for one task", "task", "create", "-f", self.file("two.yaml", TASKS), "--retries", "1")
        self.bad(1, "task \"nightly\" (1 of 2): ", "task", "create", "-f", self.file("two.yaml", TASKS))
        self.bad(2, "task 2 has no name", "task", "create", "-f", "-", text="name: n\n---\ncommand: c\n")
        self.bad(2, "no field \"cmd\"", "task", "create", "-f", "-", text="name: n\ncmd: c\n")

    def test_options_go_over_the_file(self):
        text = "task_type: shell\nexecutor: shell\ncommand: 'true'\ntags: [a]\n"
        task = self.good("task", "create", "over", "-f", "-", "--retries", "7", text=text).strip()
        got = self.up.get(f"/api/tasks/{task}")
        self.assertEqual((got["retry_count"], got["tags"], got["task_type"]), (7, ["a"], "shell"))
        self.bad(2, "needs a NAME", "task", "create", "-f", "-", text=text)

    def test_update(self):
        self.good("task", "create", "changing", "--shell", "true", "--tag", "kept")
        self.good("task", "update", "changing", "-f", self.file("change.yaml", "command: 5\ndescription:\n"))
        got = self.shown("changing")
        self.assertEqual((got["command"], got["description"], got["tags"]), ("5", None, ["kept"]))
        self.bad(2, "holds 2 tasks, expected one", "task", "update", "changing", "-f", self.file("two.yaml", TASKS))


if __name__ == "__main__":
    unittest.main()
