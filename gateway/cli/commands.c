/* The table of commands. --help, docs/gantry.1 and docs/gantry.bash come from it: `gantry man` and `gantry completion` print them. */
#include "gateway/cli/cli.h"

#include "gateway/role.h"

#define PRIORITIES "low|normal|high|critical"

const struct option common_options[] = {
    {"json", 0, NULL, NULL, "print the farm's data as JSON, for programs"},
    {"help", 'h', NULL, NULL, "say what the command does"},
    {0},
};

static const struct option no_options[] = {{0}};

/* What is to be run, and how: of a run and of a task. */
#define WORK_OPTIONS                                                                                                             \
    {"type", 't', "TYPE", NULL, "task type a worker must serve; the executor if not given"},                                     \
        {"shell", 'c', "COMMAND", NULL, "run this with /bin/sh; further arguments are $1, $2, …"},                               \
        {"priority", 'p', "LEVEL", PRIORITIES, "how soon it is to start"},                                                       \
        {"timeout", 0, "SECONDS", NULL, "end an attempt after this time (default 3600)"},                                        \
        {"retries", 0, "N", NULL, "further attempts after a failed one"},                                                        \
        {"env", 'e', "NAME=VALUE", NULL, "environment of the process; may be repeated"},                                         \
        {"label", 'l', "NAME=VALUE", NULL, "label a worker must have; may be repeated"},                                         \
        {"output", 'o', "FILE", NULL,                                                                                            \
         "file that is to appear once, when complete: {{output}} in the arguments and "                                          \
         "GANTRY_OUTPUT name where to write it"},                                                                                \
        {"cwd", 'C', "DIR", NULL, "folder it runs in"},                                                                          \
        {"pool", 0, "NAME", NULL, "pool whose limit of runs at once it shares (gantry pool)"},                                   \
        {"rate", 0, "N", NULL, "attempts that may start a minute; 0 for any number"},                                            \
    {                                                                                                                            \
        "run-as", 0, "USER", NULL, "user the process becomes, where the worker allows it"                                        \
    }

#define PAGE_OPTIONS                                                                                                             \
    {"sort", 0, "FIELD", NULL, "field to sort by"}, {"order", 0, "WAY", "asc|desc", "sorting direction"},                        \
        {"page", 0, "N", NULL, "page, from 1"},                                                                                  \
    {                                                                                                                            \
        "size", 0, "N", NULL, "rows a page (default 20, at most 1000)"                                                           \
    }

static const struct option run_options[] = {
    {"wait", 'w', NULL, NULL, "follow its log until it ends, and exit with its code"},
    {"name", 'n', "NAME", NULL, "name of its task; one is made up if not given"},
    WORK_OPTIONS,
    {"param", 'P', "NAME=VALUE", NULL, "parameter: {{name}} in the arguments and GANTRY_PARAM_NAME; may be repeated"},
    {"key", 0, "KEY", NULL, "idempotency key: a repeat with the same key submits nothing new"},
    {0},
};

static const struct option task_options[] = {
    {"file", 'f', "FILE", NULL, "read the task from a file of YAML or JSON, - for stdin; other options override it"},
    WORK_OPTIONS,
    {"executor", 0, "NAME", "shell|exec|python|http", "what runs it on the worker, with --command"},
    {"command", 0, "TEXT", NULL, "what the executor is to run; arguments behind -- are its arguments"},
    {"description", 'd', "TEXT", NULL, "words for people"},
    {"schedule", 's', "CRON", NULL, "cron expression, @every 90s, @at TIME; empty for none"},
    {"depends", 0, "TASK", NULL, "id or name of a task that must have completed; may be repeated"},
    {"tag", 0, "TAG", NULL, "tag; may be repeated"},
    {"metadata", 0, "JSON", NULL, "further data as a JSON object"},
    {"rename", 0, "NAME", NULL, "give it another name (update)"},
    {0},
};

static const struct option task_apply_options[] = {
    {"file", 'f', "FILE", NULL, "file of tasks in YAML or JSON, - for stdin; may be repeated"},
    {0},
};

static const struct option task_list_options[] = {
    {"status", 's', "STATUS", "active|paused|completed|failed", "only tasks in this state"},
    {"type", 't', "TYPE", NULL, "only tasks of this type"},
    {"priority", 'p', "LEVEL", PRIORITIES, "only tasks of this priority"},
    {"search", 0, "WORDS", NULL, "words in name, description or tags"},
    {"tag", 0, "TAG", NULL, "only tasks with this tag"},
    PAGE_OPTIONS,
    {0},
};

static const struct option task_delete_options[] = {
    {"force", 0, NULL, NULL, "abort its live runs first"},
    {0},
};

static const struct option task_trigger_options[] = {
    {"wait", 'w', NULL, NULL, "follow the run's log until it ends, and exit with its code"},
    {"param", 'P', "NAME=VALUE", NULL, "parameter of this run; may be repeated"},
    {"priority", 'p', "LEVEL", PRIORITIES, "how soon it is to start"},
    {"timeout", 0, "SECONDS", NULL, "end an attempt after this time"},
    {"at", 0, "TIME", NULL, "start it then (ISO 8601), not at once"},
    {"delay", 0, "SECONDS", NULL, "start it after this time"},
    {"key", 0, "KEY", NULL, "idempotency key: a repeat with the same key triggers nothing new"},
    {0},
};

static const struct option runs_options[] = {
    {"failed", 0, NULL, NULL, "only runs that failed for good"},
    {"final", 0, "BOOL", "true|false", "only runs that have ended for good, or only the others"},
    {"status", 's', "STATUS", "pending|running|completed|failed|aborted", "only runs in this state"},
    {"task", 0, "ID", NULL, "only runs of this task"},
    {"worker", 0, "ID", NULL, "only runs on this worker"},
    {"since", 0, "DATE", NULL, "only runs made on this day (YYYY-MM-DD) or after"},
    {"until", 0, "DATE", NULL, "only runs made on this day or before"},
    PAGE_OPTIONS,
    {0},
};

static const struct option fires_options[] = {
    {"next", 0, NULL, NULL, "print when it is due next instead, in UTC and on the clock of its time zone"},
    {"count", 'n', "N", NULL, "so many times (with --next; default 10, at most 1000)"},
    {"after", 0, "TIME", NULL, "times behind this one (with --next; now)"},
    {"outcome", 0, "WORD", "ran|late|skipped", "only due times that came to this"},
    {"since", 0, "DATE", NULL, "only those due on this day (YYYY-MM-DD) or after"},
    {"until", 0, "DATE", NULL, "only those due on this day or before"},
    PAGE_OPTIONS,
    {0},
};

static const struct option preview_options[] = {
    {"timezone", 'z', "ZONE", NULL, "IANA name, like Europe/Berlin; UTC if not given"},
    {"name", 0, "NAME", NULL, "name of the task it is for, which decides where ~ lies"},
    {"count", 'n', "N", NULL, "so many times (default 10, at most 1000)"},
    {"after", 0, "TIME", NULL, "times behind this one (now)"},
    {0},
};

static const struct option abort_options[] = {
    {"pending", 0, NULL, NULL, "instead of IDs: all runs that wait"},
    {"status", 's', "STATUS", "pending|running", "instead of IDs: all runs in this state"},
    {"task", 0, "TASK", NULL, "with --pending or --status: only runs of this task, by id or name"},
    {"before", 0, "TIME", NULL, "with them: only runs made before this time (ISO 8601; default: now)"},
    {"limit", 0, "N", NULL, "with them: at most so many, the oldest first"},
    {"reason", 0, "WORDS", NULL, "with them: words for the runs' error"},
    {0},
};

static const struct option restart_options[] = {
    {"failed", 0, NULL, NULL, "instead of an ID: all runs that failed for good"},
    {"status", 's', "STATUS", "failed|completed|aborted", "instead of an ID: all runs that ended so"},
    {"task", 0, "TASK", NULL, "with --failed or --status: only runs of this task, by id or name"},
    {"before", 0, "TIME", NULL, "with them: only runs made before this time (ISO 8601; default: now)"},
    {"limit", 0, "N", NULL, "with them: at most so many, the oldest first"},
    {0},
};

static const struct option prune_options[] = {
    {"before", 0, "TIME", NULL, "runs that ended before this time (ISO 8601); required"},
    {"status", 's', "STATUS", "completed|failed|aborted", "only runs that ended so"},
    {"task", 0, "TASK", NULL, "only runs of this task, by id or name"},
    {0},
};

static const struct option graph_options[] = {
    {"direction", 'd', "WAY", "up|down|both", "what the task waits for, what waits for it, or both (default)"},
    {"depth", 0, "N", NULL, "so many steps from the task (default: all)"},
    {"dot", 0, NULL, NULL, "print it for Graphviz: gantry graph TASK --dot | dot -Tsvg"},
    {0},
};

static const struct option logs_options[] = {
    {"system", 0, NULL, NULL, "the log of the farm's own processes instead of a run's"},
    {"service", 's', "NAME", "store|scheduler|gateway|worker", "with --system: only lines of this process"},
    {"level", 0, "LEVEL", "debug|info|warn|error", "with --system: only lines of this level and of worse ones"},
    {"follow", 'f', NULL, NULL, "go on until the run ends; with --system until it is stopped"},
    {"tail", 'n', "N", NULL, "begin with the newest N lines (at most 1000; with --system 100 if not given)"},
    {"times", 'T', NULL, NULL, "put time, level and stream before each line"},
    {0},
};

static const struct option render_analyze_options[] = {
    {"missing", 0, NULL, NULL, "list only files that are not there"},
    {"root", 0, "DIR", NULL, "folder that names are below, and nothing leads out of; may be repeated"},
    {0},
};

#define FORCE_OPTION                                                                                                             \
    {                                                                                                                            \
        "force", 'f', NULL, NULL, "other pictures in the folder that have their names are replaced"                              \
    }

static const struct option render_submit_options[] = {
    {"frames", 0, "A-B", NULL, "which frames, as 1-100 or 7; the scene's own if not given"},
    {"test", 0, "FRAMES", NULL, "frames that are rendered before all others, as 50 or 1,50,100"},
    {"stop-after-test", 0, NULL, NULL, "a test frame that fails ends the task"},
    {"engine", 0, "ENGINE", "blender|maya|ue", "what renders it; as the scene's file is if not given"},
    {"renderer", 0, "NAME", NULL, "of the engine (cycles, eevee, arnold); the scene's own if not given"},
    {"ram", 0, "GB", NULL, "memory that a worker must have (4 to 512)"},
    {"gpus", 0, "N", NULL, "GPUs that a worker must have (up to 8)"},
    {"map", 0, "NAME", NULL, "of Unreal: the level, as /Game/Maps/Main"},
    {"sequence", 0, "NAME", NULL, "of Unreal: the level sequence that is played in it"},
    {"preset", 0, "NAME", NULL, "of Unreal: a preset of its movie render queue"},
    {"priority", 'p', "N", NULL, "0 to 10, the highest goes first (default 5)"},
    {"unionid", 0, "NAME", NULL, "whose task it is; the user's name if not given"},
    {"root", 0, "DIR", NULL, "folder that the scene's names are below, where C:/x is C/x; may be repeated"},
    {"allow-missing", 0, NULL, NULL, "render it without the files that are not there"},
    {"no-missing", 0, NULL, NULL, "the farm, too, refuses to render it while a file is missing"},
    {"watch", 'w', NULL, NULL, "show its frames until all have ended; exit with 0 if they are completed, else with 1"},
    {"download", 'd', "DIR", NULL, "watch it, and fetch the pictures into this folder"},
    FORCE_OPTION,
    {0},
};

static const struct option render_list_options[] = {
    {"status", 's', "STATUS", "queued|testing|rendering|paused|completed|failed|cancelled", "only tasks in this state"},
    {"unionid", 0, "NAME", NULL, "only tasks of this one"},
    {"engine", 0, "ENGINE", "blender|maya|ue", "only tasks for this engine"},
    PAGE_OPTIONS,
    {0},
};

static const struct option render_download_options[] = {FORCE_OPTION, {0}};

static const struct option render_watch_options[] = {
    FORCE_OPTION,
    {"download", 'd', "DIR", NULL, "fetch the pictures into this folder once it has ended"},
    {0},
};

static const struct option blobs_gc_options[] = {
    {"dry-run", 0, NULL, NULL, "say what would go, and remove nothing"},
    {"grace", 0, "TIME", NULL, "what was used within this time stays (7d if not given; also s, m, h, w)"},
    {0},
};

static const struct option workers_options[] = {
    {"status", 's', "STATUS", "active|draining|offline", "only workers in this state"},
    {"type", 't', "TYPE", NULL, "only workers that serve this type"},
    {"hostname", 0, "NAME", NULL, "only workers of this machine"},
    PAGE_OPTIONS,
    {0},
};

static const struct option worker_remove_options[] = {
    {"force", 0, NULL, NULL, "also one that is connected: when it says something next it is a new worker"},
    {0},
};

static const struct option webhook_options[] = {
    {"event", 0, "TYPE", NULL, "tell it of this type of events, or of all that begin so (task.*); may be repeated"},
    {"secret", 0, "TEXT", NULL, "what its deliveries are signed with (whsec_… or any text); one is made up if not given"},
    {"description", 'd', "TEXT", NULL, "words for people"},
    {"task", 0, "ID", NULL, "tell it of this task only"},
    {0},
};

static const struct option webhook_update_options[] = {
    {"event", 0, "TYPE", NULL, "tell it of these types of events from now on; may be repeated"},
    {"secret", 0, "TEXT", NULL, "what its deliveries are signed with from now on"},
    {"description", 'd', "TEXT", NULL, "words for people"},
    {"task", 0, "ID", NULL, "tell it of this task only"},
    {"active", 0, "BOOL", "true|false", "whether it is told anything; what happens while it is not is not told later"},
    {0},
};

static const struct option webhook_list_options[] = {
    PAGE_OPTIONS,
    {0},
};

static const struct option deliveries_options[] = {
    {"status", 's', "STATUS", "pending|delivered|failed", "only deliveries in this state"},
    PAGE_OPTIONS,
    {0},
};

static const struct option events_options[] = {
    {"type", 't', "TYPE", NULL, "only events of this type (task.failed), or of all that begin so (task.)"},
    {"task", 0, "ID", NULL, "only events of this task"},
    {"run", 'r', "ID", NULL, "only events of this run"},
    {"follow", 'f', NULL, NULL, "go on with what happens, until Ctrl-C"},
    {"tail", 'n', "N", NULL, "begin with the newest N (default 20, at most 1000)"},
    {0},
};

static const struct option trace_options[] = {
    {"type", 't', "NAME", NULL, "only messages of this type (run_trigger); may be repeated"},
    {"run", 'r', "ID", NULL, "only messages that name this run"},
    {"service", 's', "NAME", "store|scheduler|gateway|worker", "only what this process sends or receives"},
    {"count", 'n', "N", NULL, "end after this many messages"},
    {0},
};

static const struct option config_options[] = {
    {"explain", 0, NULL, NULL, "print every setting: value, where it comes from, range, meaning"},
    {"markdown", 0, NULL, NULL, "print the table of settings as docs/settings.md has it"},
    {0},
};

static const struct option backup_options[] = {
    {"keep", 0, "N", NULL, "of the folder's backups keep the newest N, and remove older ones once this one is whole"},
    {"grow-mb", 0, "MIB", NULL, "give up when the database grows by more than this while it is copied (default 1024)"},
    {0},
};

static const struct option key_options[] = {
    {"public-key", 0, "KEY", NULL, "its owner's public key; a pair is made if not given (add)"},
    {"out", 0, "DIR", NULL, "folder for the pair that is made; NAME if not given (add)"},
    {0},
};

static const struct option apikey_options[] = {
    {"role", 0, "ROLE", ROLE_WORDS, "what its holder may do"},
    {"name", 'n', "NAME", NULL, "what it is called in lists and logs, and revoked by"},
    {"expires", 0, "TIME", NULL, "end it after this time (30d; also s, m, h, w) or at a date"},
    {"rate", 0, "N", NULL, "requests a minute it may make, whatever http.rate_per_minute says"},
    {0},
};

static const struct option restore_options[] = {
    {"repair", 0, NULL, NULL, "take a backup that is not sound: make its indexes and counts anew, and put up with the rest"},
    {0},
};

static const struct option fsck_options[] = {
    {"repair", 0, NULL, NULL, "make indexes and counts anew; records are never touched"},
    {0},
};

static const struct option audit_options[] = {
    {"who", 'w', "NAME", NULL, "only what this key or subject wrote; local: where nobody is asked who they are"},
    {"method", 'm', "METHOD", "POST|PUT|DELETE|PATCH", "only requests with this method"},
    {"path", 0, "PATH", NULL, "only paths that begin with this, as in /api/tasks/7"},
    {"since", 0, "TIME", NULL, "only from this time on (2024-01-01T00:00:00Z)"},
    {"until", 0, "TIME", NULL, "only before this time"},
    {"order", 0, "WAY", "asc|desc", "desc: newest first, as without it"},
    {"page", 0, "N", NULL, "page, from 1"},
    {"size", 0, "N", NULL, "rows a page (default 20, at most 1000)"},
    {0},
};

static const struct option pool_list_options[] = {PAGE_OPTIONS, {0}};

static const struct option pool_set_options[] = {
    {"limit", 'n', "N", NULL, "runs at once, over all tasks that name it; 0 for none"},
    {"description", 'd', "TEXT", NULL, "words for people"},
    {0},
};

static const struct option undo_options[] = {
    {"wait", 'w', NULL, NULL, "follow its log until it is done, and exit with its code"},
    {"key", 0, "KEY", NULL, "idempotency key: a repeat with the same key submits nothing new"},
    {0},
};

static const struct option library_options[] = {
    {"status", 's', "STATUS", "not-needed|waiting|created|running|completed|failed", "only videos in this state"},
    {"health", 0, "HEALTH", "unchecked|healthy|damaged", "only videos with this of a check (gantry transcode health)"},
    {"codec", 0, "CODEC", NULL, "only videos of this codec"},
    {"vr", 0, NULL, NULL, "only VR videos"},
    {"search", 0, "WORDS", NULL, "words of the path"},
    PAGE_OPTIONS,
    {0},
};

static const struct option health_options[] = {
    {"all", 'a', NULL, NULL, "all videos, one after the other, by workers that have nothing to transcode"},
    {"unchecked", 0, NULL, NULL, "with --all: only those that were never checked since they last changed"},
    {"stop", 0, NULL, NULL, "end the check of all videos"},
    {"wait", 'w', NULL, NULL, "wait for the videos that are named; exit with 1 if one of them is not healthy"},
    {0},
};

static const struct option record_add_options[] = {
    {"name", 'n', "FILE", NULL, "file in each cycle's folder, NAME.mp4; one that is free if not given"},
    {"duration", 'd', "SECONDS", NULL, "how long it is recorded in a cycle (default 60, at most 86400)"},
    {"weight", 'w', "N", NULL, "the higher goes first, and has more of a cycle's time where that is short (default 1)"},
    {0},
};

static const struct option record_status_options[] = {
    {"watch", 'w', NULL, NULL, "look again every two seconds, until the recorder is stopped; with --json a line each time"},
    {0},
};

static const struct option record_coverage_options[] = {
    {"days", 'n', "N", NULL, "of the last N days, today among them (default 7)"},
    {"gaps", 0, NULL, NULL, "list what is missing of which recording instead, and why"},
    {0},
};

const char *const commands_groups[] = {"task",    "pool",   "worker", "webhook", "key", "transcode",
                                       "library", "render", "blobs",  "record",  NULL};

const struct command commands[] = {
    {"up", "", no_options, up_command, false, false, 0, 0,
     "start a farm: store, scheduler, gateway and workers, and look after them",
     "All data is in one folder (--data). When the farm answers, one line `ready http://HOST:PORT` is printed on stdout; "
     "everything else, each process's lines with its name before them, goes to stderr. A process that dies is started again. "
     "SIGTERM or Ctrl-C ends all in order within 10 seconds: runs get 5 seconds to finish, then go back to the queue. A "
     "second Ctrl-C ends them at once. SIGHUP makes all read their settings again. Each setting can be given as a flag; "
     "`gantry config --explain` lists them."},
    {"recorder", "[DIR [PORT]]", no_options, recorder_command, false, false, 0, 2,
     "start a farm that records streams into a folder, with the recorder's API on a port",
     "As `gantry up --output DIR --recorder-port PORT`, with ./output and 8080 where none is given, the configuration in "
     "config.json "
     "here, and the farm's main port any that is free (the line `ready` names it). Each setting can be given as a flag before."},
    {"run", "PROGRAM [ARG…]", run_options, run_command, true, true, 0, -1, "run a program on the farm, in the current folder",
     "Prints the number of the run; with --wait follows it instead: its stdout and stderr come out here as they are, a "
     "progress bar stands on a terminal, and gantry exits with the program's code (128 + signal if one killed it, 1 if it "
     "failed otherwise). Waiting goes on through restarts of any process of the farm. Ctrl-C while waiting aborts the run "
     "and exits with 130, SIGTERM (as of timeout(1)) does so with 143, and a reader of stdout that leaves (as head(1) does) "
     "with 141; a second signal leaves without waiting for that. When the terminal goes away instead, the run goes on. Of a "
     "run the newest 10,000 lines or 4 MiB are kept (store.log_lines, store.log_kb), and 16 KiB of a line: where more came "
     "between two looks at the log, a line on stderr says how many are no longer kept. There is no further attempt after a "
     "failed one unless --retries says so."},
    {"runs", "[ID]", runs_options, run_list, true, false, 0, 1, "list runs, newest first, or show one", NULL},
    {"logs", "[ID]", logs_options, logs_command, true, false, 0, 1,
     "print a run's log: its stdout to stdout, its stderr to stderr",
     "Of a run the newest 10,000 lines or 4 MiB are kept (store.log_lines, store.log_kb), and 16 KiB of a line; a line on "
     "stderr says how many are no longer kept. A transcode in segments is many runs: the lines of all stand in one log, in the "
     "order in which they came, with [2/4] before one of the second segment and [join] before one of joining them. With --json "
     "each line is one JSON object on a line of its own. With --system, "
     "and no ID, the lines of store, scheduler, gateway and workers: time, level, process, the line's code, its text."},
    {"abort", "[ID…]", abort_options, run_abort, true, false, 0, -1, "end runs that wait or run", NULL},
    {"restart", "[ID]", restart_options, run_restart, true, false, 0, 1, "run an ended run once more, or many",
     "Prints the numbers of the new runs."},
    {"why", "ID", no_options, why_command, true, false, 1, 1, "say why a run waits, and how the workers are that could take it",
     NULL},
    {"prune", "", prune_options, prune_command, true, false, 0, 0, "remove runs that have ended, with their logs",
     "It is noted, and carried out some at a time, also over a restart. Statistics of tasks stay. runs.keep_days and "
     "runs.keep_max do so by themselves."},
    {"graph", "TASK", graph_options, graph_command, true, false, 1, 1, "show who waits for whom around a task, as a tree",
     "A task stands below each that it waits for (with --direction up: that waits for it); where it comes again it is marked."},
    {"task list", "", task_list_options, task_list, true, false, 0, 0, "list tasks", NULL},
    {"task show", "TASK", no_options, task_show, true, false, 1, 1, "show a task, by id or name", NULL},
    {"task create", "[NAME [-- PROGRAM ARG…]]", task_options, task_create, true, false, 0, -1, "make a task",
     "What it runs is PROGRAM with its arguments (executor exec), a --shell command, or an --executor with its --command; or "
     "all of it comes from a file (-f) with the fields of POST /api/tasks. A file may hold several tasks, as a list or as "
     "YAML documents; they are made in its order, up to the first that is refused. In YAML, words are text where the API "
     "takes text (`arguments: [8080, no]`); in `metadata` they are null, true, false, a number as JSON writes it, or else "
     "text. Fields that a task does not have are errors."},
    {"task update", "TASK [-- PROGRAM ARG…]", task_options, task_update, true, false, 1, -1,
     "change what the file or the options name, and nothing else", NULL},
    {"task apply", "", task_apply_options, task_apply, true, false, 0, 0, "make the farm's tasks what files say",
     "Each task of the files, as for `gantry task create -f`, is made, or, where there is one of its name, becomes as the "
     "file says: what the file leaves out is as in a new task. Doing it again changes nothing. A line a task says what was "
     "done: created, updated or unchanged. Tasks that the files do not name stay as they are."},
    {"task delete", "TASK…", task_delete_options, task_delete, true, false, 1, -1, "delete tasks with their history", NULL},
    {"task trigger", "TASK", task_trigger_options, task_trigger, true, false, 1, 1, "run a task now",
     "Prints the number of the run; --wait as in `gantry run`."},
    {"task pause", "TASK…", no_options, task_pause, true, false, 1, -1, "stop a task's schedule; its runs wait", NULL},
    {"task resume", "TASK…", no_options, task_resume, true, false, 1, -1, "let a paused task go on", NULL},
    {"fires", "TASK", fires_options, fires_command, true, false, 1, 1,
     "tell what came of each due time of a task's schedule, newest first, or when it is due next",
     "A due time ran, ran late (over ten seconds), or was skipped for a reason. Those that were skipped one after the other "
     "for one reason are one line."},
    {"preview", "CRON", preview_options, preview_command, true, false, 1, 1, "print when a schedule would be due", NULL},
    {"pool list", "", pool_list_options, pool_list, true, false, 0, 0, "list pools: limits, and what runs and waits in them",
     NULL},
    {"pool set", "NAME", pool_set_options, pool_set, true, false, 1, 1, "make a pool, or change it",
     "A new limit holds at once; what runs already is not stopped. Tasks name a pool with --pool."},
    {"pool delete", "NAME…", no_options, pool_delete, true, false, 1, -1, "delete pools that no task names", NULL},
    {"library scan", "[FOLDER]", no_options, library_scan, true, false, 0, 1,
     "look through the library now, or through one of its folders",
     "A worker that has the folder does so; the number of its run is printed. A scan that has not ended is not begun again."},
    {"library list", "", library_options, library_list, true, false, 0, 0, "list videos", NULL},
    {"transcode queue", "VIDEO…", no_options, transcode_queue, true, false, 1, -1,
     "have videos transcoded, whatever the rules say",
     "Attempts start anew. A video's number is what gantry library list shows."},
    {"transcode skip", "VIDEO…", no_options, transcode_skip, true, false, 1, -1, "leave videos alone until somebody queues them",
     NULL},
    {"transcode bump", "VIDEO…", no_options, transcode_bump, true, false, 1, -1, "put videos before the others that wait", NULL},
    {"transcode health", "[VIDEO…]", health_options, transcode_health, true, false, 0, -1,
     "have videos decoded whole, to see whether they are damaged",
     "Each is a run of a worker of the transcode farm. What came of it is in gantry library list (HEALTH), with --json also the "
     "first error, until the file changes. With --all the library is gone through in the background, and transcodes go first; "
     "without VIDEO, --all and --stop it is told how far that is."},
    {"transcode undo", "TASK", undo_options, transcode_undo, true, false, 1, 1,
     "give a video back the place that its transcode took, and remove what that made",
     "It is a run of its own, by a worker of the transcode farm that has the files; its number is printed. What took an "
     "original's place can be undone while the original is kept (transcode.keep_days). A file that has changed since is left "
     "as it is. The video is not transcoded again until somebody queues it."},
    {"render analyze", "FILE", render_analyze_options, render_analyze, false, false, 1, 1,
     "say how a scene is rendered and which files it needs, without its program",
     "Blender's .blend (2.80 on), Maya's .ma (also .gz) and .mb, Unreal's .uproject and .umap, as far as these formats are open; "
     "what was "
     "not read is said. With --root names are below these folders, where C:/x is C/x. Exits with 1 when the file cannot be "
     "read."},
    {"render submit", "SCENE", render_submit_options, render_submit, true, false, 1, 1,
     "have a scene rendered: send what the farm lacks of it, and make a task",
     "The scene is read here, as by `gantry render analyze`. Of it and the files that it names only those are sent that the farm "
     "has not; one that breaks off goes on where it was when the command is given again. What is printed is the task's number. "
     "Files that are missing are listed, and in the way unless --allow-missing is given. With --watch a grid of its frames "
     "stands "
     "on a terminal, and lines tell how far it is elsewhere; Ctrl-C leaves the task running. Files that other .blend files name, "
     "which the scene links, and whole folders are not sent."},
    {"render list", "", render_list_options, render_list, true, false, 0, 0, "list render tasks, newest first", NULL},
    {"render show", "ID", no_options, render_show, true, false, 1, 1, "show a render task", NULL},
    {"render watch", "ID", render_watch_options, render_watch, true, false, 1, 1,
     "show the frames of a task until all have ended", "Exits with 0 if they are completed, else with 1."},
    {"render download", "ID [DIR]", render_download_options, render_download, true, false, 1, 2,
     "fetch the pictures of a task's completed frames, into this folder if no other is given",
     "Each is held against its MD5. What is here already is not fetched again, and what broke off goes on where it was."},
    {"render cancel", "ID…", no_options, render_cancel, true, false, 1, -1, "end tasks, with what is being rendered", NULL},
    {"render pause", "ID…", no_options, render_pause, true, false, 1, -1, "give out no more frames of tasks", NULL},
    {"render resume", "ID…", no_options, render_resume, true, false, 1, -1, "let paused tasks go on", NULL},
    {"render retry", "ID [FRAME…]", no_options, render_retry, true, false, 1, -1,
     "render frames of a task again: those that are named, or all that failed", NULL},
    {"record add", "URL", record_add_options, record_add, true, false, 1, 1, "record one more stream, from the next cycle on",
     "The address is rtsp:// or rtsps://, with user and password if the camera asks for them: rtsp://me:word@camera/1. Lists, "
     "logs and reports show it without."},
    {"record list", "", no_options, record_list, true, false, 0, 0, "list the streams that are recorded",
     "With --json addresses are shown as the API shows them: with their passwords to admin, and where no keys are asked for."},
    {"record remove", "INDEX", no_options, record_remove, true, false, 1, 1, "record a stream no longer; what was recorded stays",
     "The index is what gantry record list shows. One stream has to stay."},
    {"record start", "", no_options, record_start, true, false, 0, 0, "let the recorder go through cycles",
     "It goes on through restarts of the farm, until poll_cycles are over or gantry record stop."},
    {"record stop", "", no_options, record_stop, true, false, 0, 0, "end the recorder, and what is being recorded", NULL},
    {"record status", "", record_status_options, record_status, true, false, 0, 0,
     "say how far the recorder's cycle is, and what is being recorded", NULL},
    {"record coverage", "", record_coverage_options, record_coverage, true, false, 0, 0,
     "say how much of what was due was recorded, by stream and day, in seconds",
     "Due and extra (recorded beyond slots) are together what was recorded, what is missing within recordings (gaps), what is "
     "missing of slots otherwise (lost), and what cycles had no room for (unplanned)."},
    {"record save", "", no_options, record_save, true, false, 0, 0, "write the recorder's configuration to its file",
     "What was changed is kept by the farm without this; the file is what POST /config/reload reads."},
    {"blobs gc", "", blobs_gc_options, blobs_gc, true, false, 0, 0,
     "remove uploaded files that no task needs and nobody has used lately; takes the role admin",
     "A task needs its scene, and what the paths of its unionid, or of nobody, stand for, until it is cleaned up or forgotten. A "
     "file "
     "is used when it is sent, asked for by its hash or path, or made the scene of a task. It may be broken off: the next one "
     "does the "
     "rest. blob.keep_days has it done each day."},
    {"workers", "[ID]", workers_options, workers_command, true, false, 0, 1, "list workers, or show one and what it runs", NULL},
    {"worker drain", "ID…", no_options, worker_drain, true, false, 1, -1,
     "let workers finish what they have, and take nothing new", "It holds over restarts, until `gantry worker resume`."},
    {"worker resume", "ID…", no_options, worker_resume, true, false, 1, -1, "let workers take runs again", NULL},
    {"worker remove", "ID…", worker_remove_options, worker_remove, true, false, 1, -1, "forget workers that are gone",
     "What one still held goes back to the queue."},
    {"events", "", events_options, events_command, true, false, 0, 0,
     "print what happened: tasks, runs, workers, the farm's health",
     "One event a line, oldest first; with --json each is one JSON object on a line of its own. Following is the farm's live "
     "stream: when it breaks off, as at a restart of any process of the farm, it is taken up again behind the last event; "
     "those that are not kept any more by then are counted on stderr."},
    {"webhook create", "URL", webhook_options, webhook_create, true, false, 1, 1, "have events sent to an address",
     "Prints the webhook with its secret, which is not shown again. Without --event it is told of all but workers' "
     "heartbeats."},
    {"webhook list", "", webhook_list_options, webhook_list, true, false, 0, 0, "list webhooks", NULL},
    {"webhook show", "ID", no_options, webhook_show, true, false, 1, 1, "show a webhook", NULL},
    {"webhook update", "ID [URL]", webhook_update_options, webhook_update, true, false, 1, 2,
     "change its address and what the options name, and nothing else", NULL},
    {"webhook delete", "ID…", no_options, webhook_delete, true, false, 1, -1, "delete webhooks with their deliveries", NULL},
    {"webhook ping", "ID", no_options, webhook_ping, true, false, 1, 1, "send an event webhook.ping to a webhook",
     "Prints the number of the delivery; `gantry webhook deliveries` says what came of it."},
    {"webhook deliveries", "ID", deliveries_options, webhook_deliveries, true, false, 1, 1,
     "list what was sent to a webhook, newest first", NULL},
    {"webhook redeliver", "ID DELIVERY…", no_options, webhook_redeliver, true, false, 2, -1,
     "begin deliveries anew, also those that were given up or arrived", NULL},
    {"status", "", no_options, status_command, true, false, 0, 0, "say how the farm is: health, workers, queue, newest runs",
     "Exits with 0 when the farm is healthy, else with 1."},
    {"audit", "", audit_options, audit_command, true, false, 0, 0,
     "list who wrote what over HTTP, newest first; takes the role admin",
     "A line for each write that was done, or refused for good. Those that the farm's gateway refused by itself have a line "
     "now and then, with the number of the others (MORE). What `gantry key` does to the farm's files has one, too, when a "
     "scheduler runs on that machine. What is kept: audit.max, audit.days."},
    {"trace", "", trace_options, trace_command, false, false, 0, 0, "watch the messages between the farm's processes, live",
     "For each message: time, process, direction (< received, > sent), link, the peer on a shared socket, and its fields. "
     "Secrets are not shown. It must run on the farm's machine, as its user, with the same --data. Processes that start "
     "later are picked up. Messages may be left out when they come faster than they can be shown; the farm is never slowed "
     "down."},
    {"backup", "DIR|FILE", backup_options, backup_command, false, false, 1, 1,
     "copy the database while the farm works: into a folder, under a name that tells the time, or to a file that is not "
     "there yet",
     "The copy is of one moment, whole or not there at all, and checked page by page before it gets its name. It must run on "
     "the store's machine, as its user, with the same --data; the store need not run. Nothing waits for it; but the database "
     "can use nothing anew that is freed meanwhile and grows by it, at most by --grow-mb."},
    {"restore", "FILE", restore_options, restore_command, false, false, 1, 1,
     "put a backup in the place of the database, with the farm stopped",
     "What happened after the backup is forgotten. Runs that were under way then wait and begin again; ids and epochs go on "
     "far above all that was given since, so that nothing old is mistaken for new. What was there is kept beside the "
     "database under another name. A backup that is damaged, unsound or of a newer version is refused, and nothing has "
     "changed then."},
    {"fsck", "[FILE]", fsck_options, fsck_command, false, false, 0, 1,
     "look at every page, record, index entry and count of the database, with the store stopped, or of a backup",
     "Each finding is a line. Exits with 0 when there is none, else with 1."},
    {"key create", "", apikey_options, apikey_create, false, false, 0, 0,
     "make an API key for who calls over HTTP, and print it once",
     "Roles: `readonly` reads, `user` also gives work, `worker` is for workers over REST, `admin` may do all. It works on "
     "the keys file (auth.keys_file) on the gateway's machine, before the farm's first start too; a gateway that runs "
     "notices by itself. Only a hash of the key is kept. Clients send it as `Authorization: Bearer KEY`; this command takes "
     "it from GANTRY_KEY. A gateway asks for keys once it listens beyond loopback, or when auth.required is always."},
    {"key list", "", no_options, apikey_list, false, false, 0, 0, "list API keys, and when each was used last", NULL},
    {"key revoke", "NAME", no_options, apikey_revoke, false, false, 1, 1, "take an API key away, at once", NULL},
    {"key worker", "add|list|revoke [NAME]", key_options, key_worker, false, false, 1, 2,
     "say which keys workers on other machines may come in by",
     "Over tcp a worker shows a certificate; only those that are listed are let in. `add` lists one: the worker's own public "
     "key, or one of a pair that is made for it, whose folder becomes the worker's curve/. `revoke` takes one away, also "
     "from a worker that is connected: it is not listened to any more, and its runs go elsewhere at once. It must run on the "
     "scheduler's machine, with the same --data; the scheduler notices by itself. Such a key opens the workers' door and "
     "nothing else."},
    {"key process", "add|list|revoke [NAME]", key_options, key_process, false, false, 1, 2,
     "say which keys the farm's own processes on other machines may come in by",
     "As `gantry key worker`, for a gateway or scheduler that reaches `bus.store`, `bus.scheduler` or `bus.doorbell` over "
     "tcp. Such a key opens the database: whoever holds it can read and change everything."},
    {"config", "", config_options, config_command, false, false, 0, 0, "print the settings that differ from their defaults",
     NULL},
    {"version", "", no_options, version_command, false, false, 0, 0, "print the version", NULL},
    {"help", "[COMMAND…]", no_options, help_command, false, false, 0, 2, "say what a command does", NULL},
    {"man", "", no_options, man_command, false, false, 0, 0, "print the manual page (docs/gantry.1)", NULL},
    {"completion", "", no_options, complete_command, false, false, 0, 0, "print completion for bash (docs/gantry.bash)",
     "Try it with: . <(gantry completion)"},
    {0},
};

const struct command *command_find(int argc, char *const *argv, int *used)
{
    for (const struct command *command = commands; command->name != NULL; command++) {
        const char *second = strchr(command->name, ' ');
        size_t first = second != NULL ? (size_t)(second - command->name) : strlen(command->name);
        bool same = argc > 0 && strlen(argv[0]) == first && memcmp(argv[0], command->name, first) == 0;
        if (same && (second == NULL || (argc > 1 && strcmp(argv[1], second + 1) == 0))) {
            if (used != NULL) {
                *used = second != NULL ? 2 : 1;
            }
            return command;
        }
    }
    return NULL;
}
