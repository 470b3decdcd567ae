#!/usr/bin/python3
"""A complete worker over REST for shell tasks. Usage: rest_worker.py URL NAME [SLOTS]; a key in GANTRY_KEY."""
import http.client, json, os, signal, subprocess, sys, threading, time, urllib.error, urllib.request, uuid

url, name, slots = sys.argv[1].rstrip("/") + "/api", sys.argv[2], int((sys.argv + ["4"])[3])
held, stopped, boot = {}, set(), uuid.uuid4().hex  # held: (run, attempt) -> its process, None before it has one

def call(path, body):  # asks until there is an answer, with one key, so that nothing is done twice; None: refused
    headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
    headers.update({"X-API-Key": os.environ["GANTRY_KEY"]} if "GANTRY_KEY" in os.environ else {})
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url + path, json.dumps(body).encode(), headers), timeout=90) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503):
                return None
        except (OSError, ValueError, http.client.HTTPException):
            pass
        time.sleep(0.5)

def end(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass

def work(run, key):
    held[key] = process = subprocess.Popen(["/bin/sh", "-c", run["command"], "sh", *run["arguments"]], env={**os.environ, **run["env"]}, text=True,
                                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, errors="replace")
    timer = threading.Timer(run["timeout_seconds"], end, (process, signal.SIGKILL))
    timer.start()
    lines, code = process.communicate()[0].splitlines()[-4096:] or [""], process.returncode
    timer.cancel()
    status = "aborted" if key in stopped else "completed" if code == 0 else "failed"
    call(f"/runs/{key[0]}/report", {"attempt": key[1], "status": status, "exit_code": max(code, -1), "result": lines[-1], "logs": lines})
    del held[key]

def beat():
    while True:
        done = call(f"/workers/{me}/heartbeat", {"current_tasks": [{"run_id": run, "attempt": attempt} for run, attempt in list(held)]})
        for key, process in list(held.items()):
            if done and key[0] in done["cancel"] and process and process.poll() is None:
                stopped.add(key)
                end(process, signal.SIGTERM)
        time.sleep(done["heartbeat_seconds"] if done else 1)

while True:  # registers, again if it was forgotten, and takes what there is
    me = call("/workers", {"name": name, "boot": boot, "hostname": os.uname().nodename, "ip_address": "127.0.0.1", "port": 0,
                           "task_types": ["shell"], "max_concurrent_tasks": slots})["id"]
    if threading.active_count() == 1:
        threading.Thread(target=beat, daemon=True).start()
    while (leased := call(f"/workers/{me}/lease", {"max": slots, "wait_seconds": 20})) is not None:
        for run in leased["runs"]:
            held[run["run_id"], run["attempt"]] = None
            threading.Thread(target=work, args=(run, (run["run_id"], run["attempt"]))).start()
