#!/usr/bin/python3
"""Makes a database with some of everything, by the programs of an older commit, for tests/scenario/test_old_database.py.

    git worktree add OLD COMMIT && cmake -S OLD -B OLD/build && cmake --build OLD/build
    GANTRY_BUILD=OLD/build tests/upgrade/make.py COMMIT

writes tests/upgrade/COMMIT.mdb.xz, and what is in it as COMMIT.json. The programs are killed at the end, so that a run is left running.
"""

import json
import lzma
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.farm import Farm  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent


def tasks(farm):
    """Of every executor and with every field; answers their ids by name."""
    made = {}
    script = farm.data / "hello.py"
    script.write_text("print('hello')\n")

    def task(name, **fields):
        body = dict({"name": name, "task_type": "shell", "executor": "shell", "command": "true", "retry_count": 0}, **fields)
        made[name] = farm.data_of(farm.post("/api/tasks", body))["id"]
        return made[name]

    task("plain")
    task("talks", command="for i in 1 2 3 4 5; do echo line $i; echo error $i >&2; done", tags=["red", "loud"], priority="high")
    task("fails", command="echo no >&2; exit 3", retry_count=1)
    task("too long", command="sleep 60", timeout_seconds=1)
    task("waits", command="sleep 300", description="It is running when the farm ends")
    task("executes", task_type="exec", executor="exec", command="/bin/echo", arguments=["one", "two", "{{three}}"])
    task("snake", task_type="python", executor="python", command=str(script))
    task("fetches", task_type="http", executor="http", command="http://127.0.0.1:1/", tags=["net"])
    task("publishes", command="echo done > \"$GANTRY_OUTPUT\"", output=str(farm.data / "published.txt"))
    task("nobody", task_type="nobody-serves-this", metadata={"deep": {"er": [1, 2, 3]}}, labels={"gpu": "yes"})
    task("nightly", schedule="0 3 * * *", env={"A": "1"})
    task("once", schedule="@at 2999-01-01T00:00:00Z")
    task("paused")
    task("depends", dependencies=[str(task("never"))])
    task("名字", description="Text in another script", tags=["красный"])
    return made


def fill(farm):
    made = tasks(farm)
    runs = {}

    def run(label, name, status=None, **fields):
        runs[label] = farm.trigger(made[name], **fields)
        if status:
            farm.wait_run(runs[label], status)

    run("completed", "plain", "completed")
    run("logged", "talks", "completed")
    run("failed", "fails", "failed")
    run("timed out", "too long", "failed")
    run("executed", "executes", "completed", parameters={"three": "3"})
    run("python", "snake", "completed")
    run("fetched", "fetches", "failed")
    run("published", "publishes", "completed")
    run("pending", "nobody", priority="critical")
    run("delayed", "plain", delay_seconds=86400 * 3650)
    run("blocked", "depends")
    run("aborted", "nobody")
    farm.data_of(farm.post(f"/api/runs/{runs['aborted']}/abort", {}))
    farm.data_of(farm.post(f"/api/tasks/{made['paused']}/pause", {}))
    again = farm.data_of(farm.post(f"/api/runs/{runs['failed']}/restart", {}))
    runs["restarted"] = again["new_run_id"]
    farm.wait_run(runs["restarted"], "failed")
    keyed = {"Idempotency-Key": "from the first issue"}
    answer = farm.data_of(farm.post(f"/api/tasks/{made['plain']}/trigger", {}, headers=keyed))
    farm.wait_run(answer["run_id"])
    oneshot = farm.data_of(farm.post("/api/runs", {"task_type": "shell", "executor": "shell", "command": "echo oneshot"}))
    runs["oneshot"] = oneshot["run_id"]
    farm.wait_run(runs["oneshot"])
    deleted = farm.task("deleted")
    farm.wait_run(farm.trigger(deleted))
    farm.data_of(farm.delete(f"/api/tasks/{deleted}"))
    run("running", "waits", "running")
    for label in ("pending", "delayed", "blocked"):
        assert farm.run(runs[label])["status"] == "pending", label
    return {"tasks": made, "runs": runs, "keyed": answer}


def facts(farm, made):
    """What its own API says of it."""
    rows = {label: farm.run(run) for label, run in made["runs"].items()}
    return dict(made,
                run_rows={label: {key: row[key] for key in ("id", "task_id", "task_name", "status", "attempt", "created_at", "parameters")}
                          for label, row in rows.items()},
                task_rows={name: farm.data_of(farm.get(f"/api/tasks/{task}")) for name, task in made["tasks"].items()},
                totals={kind: farm.data_of(farm.get(f"/api/{kind}"))["total"] for kind in ("tasks", "runs", "workers")},
                by_status={status: farm.data_of(farm.get(f"/api/runs?status={status}"))["total"]
                           for status in ("pending", "running", "completed", "failed", "aborted")},
                log=farm.data_of(farm.get(f"/api/runs/{made['runs']['logged']}/logs")))


def main():
    with Farm(types=["shell", "exec", "python", "http"]) as farm:
        made = facts(farm, fill(farm))
        for name in ("gateway", "scheduler", "store", "worker1"):
            farm.kill(name)
        database = (farm.data / "store/data.mdb").read_bytes()
    target = HERE / f"{sys.argv[1]}.mdb.xz"
    target.write_bytes(lzma.compress(database, preset=9 | lzma.PRESET_EXTREME))
    target.with_suffix("").with_suffix(".json").write_text(json.dumps(made, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    print(f"{target}: {target.stat().st_size} bytes of {len(database)}")


if __name__ == "__main__":
    main()
