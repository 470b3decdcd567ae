"""The `gantry` command against a farm of real processes."""

import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from tests.farm import ROOT, SLOW, wait_for
from tests.receiver import Receiver, signed
from tests.up import GANTRY, Up, environment, gantry


class Derived(unittest.TestCase):
    """What is made from the table of commands is what the repository holds."""

    def test_the_manual_is_current(self):
        self.assertEqual(gantry("man").stdout, (ROOT / "docs" / "gantry.1").read_text(), "gantry man > docs/gantry.1")

    def test_the_completion_is_current(self):
        self.assertEqual(gantry("completion").stdout, (ROOT / "docs" / "gantry.bash").read_text(), "gantry completion > docs/gantry.bash")

    def complete(self, *words):
        """What bash offers for the last word."""
        script = f"""
            . '{ROOT}/docs/gantry.bash'
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            _gantry
            printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        done = subprocess.run(["bash", "-c", script, "bash", "gantry", *words], capture_output=True, text=True, check=True, cwd=ROOT)
        return done.stdout.split()

    def test_completion_offers_commands_and_options(self):
        offered = self.complete("")
        for line in gantry("--help").stdout.splitlines():
            found = re.match(r"  ([a-z]+)( [a-z]+)? ", line)
            if found:
                self.assertIn(found.group(1), offered)
        self.assertEqual(self.complete("wor"), ["workers", "worker"])
        self.assertIn("create", self.complete("task", ""))
        self.assertEqual(self.complete("run", "--prio"), ["--priority"])
        self.assertEqual(self.complete("run", "--priority", "h"), ["high"])
        self.assertEqual(self.complete("task", "list", "--status", "pa"), ["paused"])
        self.assertIn("--lease-seconds", self.complete("up", "--lease"))
        self.assertIn("README.md", self.complete("run", "--", "cat", "READ"))
        self.assertEqual(self.complete("logs", "--foll"), ["--follow"])

    def test_every_command_has_help(self):
        commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?)(?= |$)", gantry("--help").stdout, re.M)
        self.assertGreater(len(commands), 15)
        for command in commands:
            words = command.split()
            done = gantry(*words, "--help")
            if done.returncode != 0:  # "runs [ID]": the second word is none
                done = gantry(words[0], "--help")
            self.assertEqual(done.returncode, 0, command)
            self.assertIn("Usage: gantry " + words[0], done.stdout)


class NoFarm(unittest.TestCase):
    def test_it_says_how_to_start_one(self):
        for words in (["status"], ["runs"], ["run", "--", "true"], ["task", "list"], ["workers"]):
            done = gantry(*words, "--url", "http://127.0.0.1:1")
            self.assertEqual((done.returncode, done.stdout), (1, ""), words)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn("gantry up", done.stderr)

    def test_wrong_use_is_told_in_one_line(self):
        for words in (["nothing"], ["run"], ["runs", "--nothing"], ["logs"], ["run", "--priority", "x", "true"], ["logs", "x"],
                      ["run", "-e", "x", "--", "true"], ["status", "--url", "nowhere"], ["task", "create"]):
            done = gantry(*words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertTrue(done.stderr.startswith("gantry: "), done.stderr)

    def test_words_that_cannot_be_right_are_wrong_use(self):
        for words in (["abort", "abc"], ["restart", "abc"], ["runs", "abc"], ["logs", "abc"], ["workers", "a b"], ["trace", "-n", "abc"],
                      ["trace", "-r", "0"], ["trace", "-t", "nosuch"], ["trace", "-t", "assign", "-t", "nosuch"],
                      ["task", "create", "x", "-f", "/nonexistent"], ["task", "create", "x", "-f", "/"]):
            done = gantry(*words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn("/nonexistent: No such file or directory", gantry("task", "create", "x", "-f", "/nonexistent").stderr)

    def test_the_farm_is_where_the_settings_say(self):
        for flags, url in (([], "http://localhost:1"), (["--host", "127.0.0.9"], "http://127.0.0.9:1"), (["--host", "::1"], "http://[::1]:1"),
                           (["--host", "0.0.0.0"], "http://localhost:1"), (["--host", "127.0.0.9", "--url", "http://127.0.0.3:1"], "http://127.0.0.3:1")):
            self.assertIn(f"no farm answers at {url}:", gantry("runs", "--port", "1", *flags).stderr)

    def test_trace_makes_no_farm(self):
        done = gantry("trace", "--data", "/nothing/here")
        self.assertEqual(done.returncode, 1)
        self.assertFalse(os.path.exists("/nothing"))


class WithFarm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.up = Up()
        cls.up.start()
        cls.up.wait_ready()

    @classmethod
    def tearDownClass(cls):
        cls.up.close()

    def gantry(self, *words, **more):
        return self.up.gantry(*words, **more)

    def good(self, *words, **more):
        done = self.gantry(*words, **more)
        self.assertEqual(done.returncode, 0, f"{words}: {done.stderr}")
        return done.stdout

    def submit(self, *words):
        return int(self.good("run", *words))

    def status(self, run_id):
        return self.up.get(f"/api/runs/{run_id}")["status"]

    def wait_status(self, run_id, *statuses):
        return wait_for(lambda: self.status(run_id) in statuses, 60, f"run {run_id} being {statuses}")


class Run(WithFarm):
    def test_output_comes_out_as_it_is(self):
        done = self.gantry("run", "--wait", "--shell", "echo out; echo err >&2; echo 'more 数据'")
        self.assertEqual((done.returncode, done.stdout), (0, "out\nmore 数据\n"), done.stderr)
        self.assertIn("err\n", done.stderr)

    def test_it_runs_in_the_folder_it_is_called_from(self):
        folder = self.up.folder
        (folder / "in.txt").write_text("one\ntwo\n")
        done = self.gantry("run", "--wait", "--", "sh", "-c", "pwd; sort -r in.txt > out.txt", cwd=folder)
        self.assertEqual((done.returncode, done.stdout.strip()), (0, str(folder)), done.stderr)
        self.assertEqual((folder / "out.txt").read_text(), "two\none\n")

    def test_it_exits_with_the_code_of_the_run(self):
        for script, code in (("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -TERM $$", 143)):
            done = self.gantry("run", "--wait", "--shell", script)
            self.assertEqual(done.returncode, code, f"{script}: {done.stderr}")
        done = self.gantry("run", "--wait", "--", "/nothing/of/the/kind")
        self.assertNotEqual(done.returncode, 0)

    def test_a_failure_is_told_once(self):
        done = self.gantry("run", "--wait", "--shell", "exit 7")
        self.assertEqual(done.stderr.count("exit code 7"), 1, done.stderr)

    def test_a_failed_run_is_not_tried_again_unless_asked(self):
        self.assertEqual(self.gantry("run", "--wait", "--shell", "exit 3").returncode, 3)
        newest = self.up.get("/api/runs?size=1")["items"][0]["id"]
        self.assertEqual(len(self.up.get(f"/api/runs/{newest}")["attempts"]), 1)

    def test_options_reach_the_run(self):
        folder = self.up.folder
        script = 'echo "$A $B $GANTRY_PARAM_SIZE"; echo done > "$GANTRY_OUTPUT"'
        self.good("run", "--wait", "-e", "A=1", "-e", "B=x=y", "-P", "size=9", "-p", "high", "-o", "made.txt", "--shell", script, cwd=folder)
        self.assertEqual((folder / "made.txt").read_text(), "done\n")
        done = self.gantry("run", "--wait", "--timeout", "1", "--shell", "sleep 60")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("1", done.stderr)

    def test_arguments_are_not_touched(self):
        done = self.gantry("run", "--wait", "--", "printf", "%s|", "a b", "$HOME", "*", "--wait", "")
        self.assertEqual((done.returncode, done.stdout), (0, "a b|$HOME|*|--wait||\n"), done.stderr)

    def test_a_key_submits_once(self):
        first = self.good("run", "--key", "once-and-for-all", "--shell", "true")
        self.assertEqual(self.good("run", "--key", "once-and-for-all", "--shell", "true"), first)

    def test_json(self):
        data = json.loads(self.good("run", "--json", "--shell", "true"))
        self.assertEqual(data["status"], "pending")
        done = self.gantry("run", "--json", "--wait", "--shell", "echo hello")
        self.assertEqual(json.loads(done.stdout)["status"], "completed")
        self.assertIn("hello", done.stderr)

    def test_many_lines_arrive_in_order(self):
        done = self.gantry("run", "--wait", "--shell", "seq 5000")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.split(), [str(n) for n in range(1, 5001)])

    def test_ctrl_c_aborts(self):
        process = subprocess.Popen([GANTRY, "run", "--wait", "--url", self.up.url, "--shell", "echo started; sleep 300"],
                                   env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(process.stdout.readline(), "started\n")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60 * SLOW)
        self.assertEqual(process.returncode, 130, err)
        self.wait_status(int(re.search(r"run (\d+)", err).group(1)), "aborted")

    def on_terminal(self, *arguments):
        """What the command writes to a terminal, its stdout and stderr alike."""
        leader, follower = pty.openpty()
        process = subprocess.Popen([GANTRY, *arguments, "--url", self.up.url], env=environment(), stdin=subprocess.DEVNULL, stdout=follower,
                                   stderr=follower, close_fds=True)
        os.close(follower)
        shown = b""
        try:
            while data := os.read(leader, 4096):
                shown += data
        except OSError:  # the last writer is gone
            pass
        os.close(leader)
        process.wait(60 * SLOW)
        return shown

    def test_what_programs_print_drives_no_terminal(self):
        script = r"printf '\033]52;c;eA==\007\033[2J\033[31mred\033[0m 1\n'; printf '\033]0;mine\007bad\n' >&2; exit 3"
        told = self.gantry("run", "--wait", "--shell", script)
        self.assertIn("\033]52;c;eA==\007\033[2J\033[31mred\033[0m 1", told.stdout)  # a pipe gets what was printed
        run = re.search(r"run (\d+)", told.stderr).group(1)
        for command in (["logs", run], ["logs", run, "--times"], ["logs", run, "--json"], ["runs", run], ["run", "--wait", "--shell", script]):
            with self.subTest(command[0:2]):
                shown = self.on_terminal(*command)
                for bad in (b"\033]", b"\033[2J", b"\007"):
                    self.assertNotIn(bad, shown)
        self.assertIn(b"?]52;c;eA==??[2J\033[31mred\033[0m 1\033[0m\r\n", self.on_terminal("logs", run))

    def test_a_bar_stands_on_a_terminal(self):
        leader, follower = pty.openpty()
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="gantry-test-")))
        script = (f'go() {{ until [ -e {folder}/$1 ]; do sleep 0.05; done; }}; go 0; '
                  'for p in 10 50; do echo "percent=$p" >&"$GANTRY_PROGRESS_FD"; go $p; done')
        process = subprocess.Popen([GANTRY, "run", "--wait", "--url", self.up.url, "--shell", "eval '" + script + "'"], env=environment(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=follower, close_fds=True)
        os.close(follower)
        shown, steps = b"", {0: rb"run \d+ running  \d", 10: rb" 10\.0%", 50: rb" 50\.0%"}  # what is waited for to go on
        until = time.monotonic() + 60 * SLOW
        while time.monotonic() < until:
            ready, _, _ = select.select([leader], [], [], 1)
            if ready:
                try:
                    data = os.read(leader, 4096)
                except OSError:
                    break
                if not data:
                    break
                shown += data
            for step, words in steps.items():
                if re.search(words, shown):
                    (folder / str(step)).touch()
        os.close(leader)
        self.assertEqual(process.wait(60 * SLOW), 0, shown)
        process.stdout.close()
        text = shown.decode(errors="replace")
        self.assertRegex(text, r"run \d+ running \[")
        self.assertRegex(text, r"run \d+ running  \d")  # as long as it says nothing
        self.assertNotIn(" 0.0%", text)
        self.assertIn(" 50.0%", text)
        self.assertTrue(text.endswith("\r\x1b[K"), repr(text[-40:]))


class Survives(WithFarm):
    def follow(self, script):
        self.lines = []
        process = subprocess.Popen([GANTRY, "run", "--wait", "--url", self.up.url, "--shell", script], env=environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def read():
            for line in process.stdout:
                self.lines.append(line.strip())

        thread = threading.Thread(target=read)
        thread.start()
        return process, thread

    def test_waiting_goes_on_through_the_restart_of_any_process_but_the_worker(self):
        script = "i=0; until [ -e done ]; do i=$((i+1)); echo line $i; sleep 0.25; done; echo over; seq 100 110; exit 5"
        folder = self.up.folder
        process, thread = self.follow(f"cd {folder}; {script}")
        for label in ("gateway", "scheduler", "store"):
            count = len(self.lines)
            wait_for(lambda: len(self.lines) > count + 2, 90, "the log to go on")
            self.up.kill_child(label)
        count = len(self.lines)
        wait_for(lambda: len(self.lines) > count + 2, 90, "the log to go on")
        (folder / "done").touch()
        self.assertEqual(process.wait(60 * SLOW), 5)
        thread.join()
        process.stderr.close()
        process.stdout.close()
        count = self.lines.index("over")
        self.assertEqual(self.lines[:count], [f"line {i + 1}" for i in range(count)])  # none lost, none twice
        self.assertEqual(self.lines[count + 1:], [str(n) for n in range(100, 111)])


class Tasks(WithFarm):
    def test_the_life_of_a_task(self):
        task_id = int(self.good("task", "create", "nightly", "--schedule", "0 2 29 2 *", "--shell", "echo $GANTRY_PARAM_X",
                                "-d", "words", "--tag", "a", "--tag", "b", "-p", "high", "--metadata", '{"owner": "me"}'))
        task = json.loads(self.good("task", "show", "nightly", "--json"))
        self.assertEqual((task["id"], task["schedule"], task["tags"], task["priority"]), (task_id, "0 2 29 2 *", ["a", "b"], "high"))
        self.assertEqual(task["metadata"], {"owner": "me"})
        self.assertRegex(self.good("task", "list", "--search", "nightly"), r"nightly +shell +active +high")
        self.assertEqual(json.loads(self.good("task", "update", "nightly", "-p", "low", "--json"))["priority"], "low")
        self.assertEqual(self.good("task", "pause", "nightly"), f"task {task_id} paused\n")
        self.assertIn("paused", self.good("task", "list", "--status", "paused"))
        self.good("task", "resume", str(task_id))
        done = self.gantry("task", "trigger", "nightly", "--wait", "-P", "x=hello")
        self.assertEqual((done.returncode, done.stdout), (0, "hello\n"), done.stderr)
        self.assertIn("1 completed", self.good("task", "show", "nightly"))
        self.good("task", "delete", "nightly", "--force")
        done = self.gantry("task", "show", "nightly")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nightly", done.stderr)

    def name_of(self, word):
        return json.loads(self.good("task", "show", word, "--json"))["name"]

    def test_names_are_found_whatever_they_are(self):
        for name in ("...", "数据", "0012", "99999999999999999999", "a&b=c d", "one"):
            self.good("task", "create", name, "--shell", "true")
            self.assertEqual(self.name_of(name), name)
        self.good("task", "create", "one more", "--shell", "true")
        self.assertEqual(self.name_of("one"), "one")
        for word in ("on", "", "x" * 300):
            done = self.gantry("task", "show", word)
            self.assertEqual(done.returncode, 1)
            self.assertIn("there is no task", done.stderr)

    def test_a_run_of_the_same_name_takes_nothing_away(self):
        for _ in range(2):
            self.wait_status(self.submit("--name", "shared", "--shell", "true"), "completed")
        done = self.gantry("task", "show", "shared")
        self.assertEqual(done.returncode, 1)
        self.assertIn("2 tasks are called", done.stderr)
        task_id = int(self.good("task", "create", "shared", "--shell", "echo mine"))
        done = self.gantry("task", "trigger", "shared", "--wait")
        self.assertEqual((done.returncode, done.stdout), (0, "mine\n"), done.stderr)
        self.assertEqual(self.good("task", "delete", "shared"), f"task {task_id} deleted\n")

    def test_a_number_is_an_id_and_else_a_name(self):
        plain = int(self.good("task", "create", "plain", "--shell", "true"))
        self.assertEqual(self.name_of(str(plain)), "plain")
        self.good("task", "create", "777777", "--shell", "true")
        self.assertEqual(self.name_of("777777"), "777777")
        other = int(self.good("task", "create", str(plain), "--shell", "true"))
        done = self.gantry("task", "delete", str(plain))
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(plain), done.stderr)
        self.assertIn(str(other), done.stderr)
        self.assertEqual(self.name_of(str(other)), str(plain))

    def test_a_task_from_a_file_and_from_stdin(self):
        path = self.up.folder / "task.json"
        path.write_text(json.dumps({"name": "filed", "task_type": "shell", "executor": "shell", "command": "true", "retry_count": 1}))
        self.good("task", "create", "-f", str(path))
        self.good("task", "create", "other", "-f", str(path), "--retries", "4")
        self.assertEqual(json.loads(self.good("task", "show", "other", "--json"))["retry_count"], 4)
        path.write_text("{")
        done = self.gantry("task", "create", "-f", str(path))
        self.assertEqual(done.returncode, 2)
        self.assertIn("line 1", done.stderr)

    def test_a_program_behind_dashes(self):
        self.good("task", "create", "lister", "--", "ls", "-l", "/")
        task = json.loads(self.good("task", "show", "lister", "--json"))
        self.assertEqual((task["executor"], task["command"], task["arguments"]), ("exec", "ls", ["-l", "/"]))

    def test_refusals_are_told(self):
        self.good("task", "create", "taken", "--shell", "true")
        done = self.gantry("task", "create", "taken", "--shell", "true")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 1)
        done = self.gantry("task", "create", "broken", "--shell", "true", "--schedule", "not a schedule")
        self.assertEqual(done.returncode, 1)
        self.assertIn("schedule", done.stderr)


class Webhooks(WithFarm):
    def test_the_life_of_a_webhook(self):
        with Receiver() as receiver:
            made = json.loads(self.good("webhook", "create", receiver.url(), "--event", "task.created", "-d", "words", "--json"))
            number = str(made["id"])
            self.assertTrue(made["secret"].startswith("whsec_"))
            self.assertIn("words", self.good("webhook", "list"))
            shown = self.good("webhook", "show", number)
            self.assertIn(receiver.url(), shown)
            self.assertNotIn(made["secret"], shown)
            self.good("webhook", "ping", number)
            self.good("task", "create", "hooked", "--shell", "true")
            wait_for(lambda: {d.body["event"] for d in receiver.got} == {"webhook.ping", "task.created"}, 60, "both deliveries")
            self.assertTrue(all(signed(d, made["secret"]) for d in receiver.got))
            wait_for(lambda: re.search(r"task.created +delivered +1 +204", self.good("webhook", "deliveries", number)), 60, "the delivery in the list")
            self.change_and_send_again(receiver, number)
            self.assertEqual(self.good("webhook", "delete", number), f"webhook {number} deleted\n")
            self.assertEqual(self.gantry("webhook", "show", number).returncode, 1)
        for words in (["create"], ["create", "ftp://x/"], ["show", "x"], ["deliveries", "1", "--status", "lost"], ["update", "1"],
                      ["update", "x", "--active", "true"], ["update", "99", "--active", "true"], ["update", "1", "--active", "maybe"],
                      ["redeliver", "1"], ["redeliver", "1", "x"], ["redeliver", "99", "1"]):
            done = self.gantry("webhook", *words)
            self.assertNotEqual(done.returncode, 0, words)
            self.assertEqual((done.stdout, len(done.stderr.splitlines())), ("", 1), done.stderr)

    def change_and_send_again(self, receiver, number):
        put = json.loads(self.good("webhook", "update", number, receiver.url("/other"), "--event", "task.failed", "-d", "new words", "--json"))
        self.assertEqual((put["url"], put["events"], put["description"], put["active"]), (receiver.url("/other"), ["task.failed"], "new words", True))
        self.assertRegex(self.good("webhook", "update", number, "--active", "false"), r"Active: +false")
        self.assertRegex(self.good("webhook", "update", number, "--active", "true"), r"Active: +true")
        delivery = str(json.loads(self.good("webhook", "deliveries", number, "--json"))["items"][0]["id"])
        self.assertEqual(self.good("webhook", "redeliver", number, delivery), f"delivery {delivery} pending\n")
        wait_for(lambda: [d for d in receiver.got if d.path == "/other"], 60, "the second delivery, where it goes now")

    def test_events(self):
        self.good("task", "create", "eventful", "--shell", "true")
        self.assertRegex(self.good("events", "--type", "task.created"), r"task.created +task_id=\d+ task_name=\w+")
        one = json.loads(self.good("events", "-n", "1", "--type", "task.created", "--json"))
        self.assertEqual(set(one), {"id", "event", "timestamp", "data"})
        self.assertEqual(self.gantry("events", "--type", "task.exploded").returncode, 2)
        self.assertEqual(self.gantry("events", "--type", "tusk.").returncode, 2)
        kinds = {json.loads(line)["event"] for line in self.good("events", "-n", "1000", "--type", "task.", "--json").splitlines()}
        self.assertIn("task.created", kinds)
        self.assertEqual({kind.split(".")[0] for kind in kinds}, {"task"})
        following = subprocess.Popen([GANTRY, "events", "-f", "--type", "task.created", "--url", self.up.url, "--json"], stdout=subprocess.PIPE, text=True,
                                     env=environment())
        try:
            before = json.loads(following.stdout.readline())
            self.assertEqual(before["event"], "task.created")
            self.good("task", "create", "followed", "--shell", "true")
            while json.loads(following.stdout.readline())["data"]["task_name"] != "followed":
                pass
        finally:
            following.send_signal(signal.SIGINT)
            self.assertEqual(following.wait(60 * SLOW), 130)
            following.stdout.close()


class Runs(WithFarm):
    def test_lists_and_one(self):
        run_id = self.submit("--shell", "echo shown; exit 4")
        self.wait_status(run_id, "failed")
        self.assertRegex(self.good("runs"), rf"(?m)^ *{run_id} .*failed .* \d+ s ")
        self.assertNotRegex(self.good("runs", "--status", "pending"), rf"(?m)^ *{run_id} ")
        self.assertEqual(json.loads(self.good("runs", "--status", "failed", "--json"))["items"][0]["id"], run_id)
        shown = self.good("runs", str(run_id))
        self.assertIn("failed, code 4", shown)
        self.assertEqual(self.gantry("runs", "999999").returncode, 1)
        for words in (["--page", "0"], ["--size", "abc"], ["--since", "tomorrow"], ["--sort", "colour"], ["--task", "x"]):
            done = self.gantry("runs", *words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def test_abort_and_restart(self):
        run_id = self.submit("--shell", "sleep 300")
        self.wait_status(run_id, "running")
        self.assertIn(f"run {run_id} ", self.good("abort", str(run_id)))
        self.wait_status(run_id, "aborted")
        again = int(self.good("restart", str(run_id)))
        self.assertGreater(again, run_id)
        self.good("abort", str(again))
        done = self.gantry("abort", "999999", "x")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 2)

    def test_logs(self):
        run_id = self.submit("--shell", "seq 1500; echo oops >&2")
        self.wait_status(run_id, "completed")
        done = self.gantry("logs", str(run_id))
        self.assertEqual(done.stdout.split(), [str(n) for n in range(1, 1501)])
        self.assertIn("oops", done.stderr)
        self.assertEqual(self.gantry("logs", "-n", "3", str(run_id)).stdout.split()[-1], "1500")
        self.assertRegex(self.gantry("logs", "-T", "-n", "3", str(run_id)).stdout, r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+ +stdout +1500$")

    def test_logs_can_be_followed(self):
        done_file = self.up.folder / "enough"
        run_id = self.submit("--shell", f"i=0; while [ ! -e {done_file} ]; do i=$((i+1)); echo line $i; sleep 0.1; done; echo end; exit 3")
        process = subprocess.Popen([GANTRY, "logs", "-f", str(run_id), "--url", self.up.url], env=environment(), stdout=subprocess.PIPE,
                                   text=True)
        lines = [process.stdout.readline() for _ in range(5)]
        self.assertEqual(lines, [f"line {n}\n" for n in range(1, 6)])
        done_file.touch()
        rest = process.stdout.read().splitlines()
        process.stdout.close()
        self.assertEqual(rest[-1], "end")
        self.assertEqual(process.wait(60 * SLOW), 0)  # following is no run: its code is not this one's


class Farm(WithFarm):
    def test_numbers_are_printed_as_they_were_given(self):
        self.good("task", "create", "real", "--shell", "true", "--metadata", '{"x": 3.006, "y": 0.1, "z": 1e300}')
        shown = self.good("task", "show", "real", "--json")
        self.assertIn('"x": 3.006,', shown)
        self.assertIn('"y": 0.1,', shown)

    def test_workers(self):
        listed = self.good("workers")
        self.assertRegex(listed, r"worker-001 +active")
        self.assertIn("shell", listed)
        run_id = self.submit("--shell", "sleep 300")
        self.wait_status(run_id, "running")
        self.assertRegex(self.good("workers", "worker-001"), rf"(?m)^ *{run_id} .*running")
        self.good("abort", str(run_id))
        self.assertEqual(self.gantry("workers", "worker-999").returncode, 1)

    def test_workers_are_told(self):
        with Up("--workers", "2") as up:
            up.wait_ready()
            wait_for(lambda: up.get("/api/workers?status=active")["total"] == 2, 60, "both workers")
            done = up.gantry("worker", "drain", "worker-001", "worker-002")
            self.assertEqual((done.returncode, done.stdout), (0, "worker worker-001 draining\nworker worker-002 draining\n"), done)
            run = up.gantry("run", "--shell", "true").stdout.strip()
            self.assertEqual(json.loads(up.gantry("why", run, "--json").stdout)["code"], "draining")
            done = up.gantry("worker", "resume", "worker-002", "--json")
            self.assertEqual(json.loads(done.stdout)["status"], "active", done)
            wait_for(lambda: up.get(f"/api/runs/{run}")["status"] == "completed", 60, "the run's end")
            self.assertEqual(up.get(f"/api/runs/{run}")["worker_id"], "worker-002")
            done = up.gantry("worker", "remove", "worker-001", "worker-009")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("force=true", done.stderr)
            self.assertIn("worker-009", done.stderr)
            self.assertEqual(up.gantry("worker", "remove", "worker-001", "--force").stdout, "worker worker-001 removed\n")
            wait_for(lambda: {worker["id"] for worker in up.get("/api/workers")["items"]} == {"worker-002", "worker-003"}, 60, "its coming back as another")
        for words in (["drain"], ["drain", "../x"], ["worker"], ["remove", "a b"]):
            self.assertEqual(self.gantry("worker", *words).returncode, 2, words)

    def test_status(self):
        """As often as it takes: a farm of which a process does not answer for a second is not healthy in that second."""
        def words():
            done = self.gantry("status")
            return done.returncode == 0 and re.search(r"(?m)^Health: +healthy$", done.stdout) and "1 active" in done.stdout

        def structure():
            done = self.gantry("status", "--json")
            return done.returncode == 0 and json.loads(done.stdout)["status"] == "healthy"

        wait_for(words, 60, "a healthy farm in words")
        wait_for(structure, 60, "a healthy farm")

    def test_config_and_version(self):
        explained = gantry("config", "--explain").stdout
        self.assertIn("lease.seconds = 30", explained)
        self.assertEqual(gantry("config", "--lease-seconds", "70").stdout, "lease.seconds = 70 # flag\n")
        self.assertEqual(json.loads(gantry("config", "--json").stdout)["lease.seconds"]["value"], "30")
        self.assertEqual(gantry("config", "--explain", "--json").stdout, gantry("config", "--json").stdout)
        self.assertEqual(json.loads(gantry("config", "--json").stdout)["lease.seconds"]["values"], "1..3600")
        self.assertEqual(gantry("config", "--markdown").stdout, (ROOT / "docs" / "settings.md").read_text())
        self.assertRegex(gantry("version").stdout, r"^gantry \d+\.\d+\.\d+\n$")


class Trace(WithFarm):
    def trace(self, *words):
        process = subprocess.Popen([GANTRY, "trace", "--data", str(self.up.data), *words], env=environment(), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close(), process.stderr.close()))
        return process

    def watching(self, process, service):
        """Waits until the tracer hears a process of that service; its pid."""
        for line in process.stderr:
            found = re.match(rf"gantry: watching {service}-(\d+)$", line)
            if found:
                return int(found.group(1))
        raise AssertionError(f"the tracer ended, and heard no {service}")

    def finish(self, process):
        out, err = process.communicate(timeout=60 * SLOW)
        self.assertEqual(process.returncode, 0, err)
        return out.splitlines()

    def test_messages_are_shown(self):
        process = self.trace("--type", "run_submit", "--type", "assign", "-n", "4")
        self.watching(process, "scheduler")
        for _ in range(2):  # the scheduler hears of each, and gives it away
            self.good("run", "--wait", "--shell", "true")
        lines = self.finish(process)
        self.assertEqual(len(lines), 4)
        for line in lines:
            self.assertRegex(line, r"^\d\d:\d\d:\d\d\.\d{3} (gateway|scheduler|worker) +[<>] \w+ .*(run_submit|assign)\{")

    def test_by_service_and_as_json(self):
        process = self.trace("--service", "store", "--json", "-n", "3")
        self.watching(process, "store")
        self.good("run", "--wait", "--shell", "true")
        lines = self.finish(process)
        self.assertEqual(len(lines), 3)
        for line in lines:
            message = json.loads(line)
            self.assertEqual(message["service"], "store")
            self.assertIn(message["direction"], ("sent", "received"))
            self.assertTrue(message["type"])

    def test_by_run_and_a_process_that_starts_later(self):
        """Of two runs it shows the messages about one, out of a process that was not there when it began."""
        other, run_id = self.submit("--shell", "true"), self.submit("--shell", "true")
        for one in (other, run_id):
            self.wait_status(one, "completed")
        process = self.trace("--service", "scheduler", "--run", str(run_id), "--json", "-n", "1")
        before = self.watching(process, "scheduler")
        self.up.kill_child("scheduler")
        self.assertNotEqual(self.watching(process, "scheduler"), before)
        for one in (other, run_id):
            self.good("restart", str(one))
        lines = self.finish(process)
        self.assertEqual(len(lines), 1)
        self.assertIn(str(run_id), json.loads(lines[0])["message"])


if __name__ == "__main__":
    unittest.main()
