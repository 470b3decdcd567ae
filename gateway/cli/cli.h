/* The command line as a table: commands, their arguments, options and words of help, said once (commands.c).
 *
 * --help, docs/gantry.1 and docs/gantry.bash are made from it.
 */
#ifndef GANTRY_CLI_CLI_H
#define GANTRY_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/settings.h"
#include "proto/str.h"

/* Exit codes of the command itself; `run --wait` adds those of the run. */
enum { EXIT_FINE = 0, EXIT_TROUBLE = 1, EXIT_USAGE = 2 };

struct option {
    const char *name;  /* "priority", without its dashes; NULL ends a table */
    char letter;       /* 'p' for -p, or 0 */
    const char *value; /* "LEVEL": what it takes; NULL for a switch */
    const char *words; /* "low|normal": what may be given, for checks and completion; NULL for anything */
    const char *doc;
};

struct args;
struct client;

/* What a handler works with; everything is borrowed. */
struct cli {
    const struct args *args;
    struct settings *settings;
    struct client *client; /* NULL for commands that talk to no farm */
    bool json;             /* --json: data for programs */
    const char *program;   /* argv[0] */
};

typedef int cli_handler(struct cli *cli); /* answers the exit code */

struct command {
    const char *name;      /* "task create"; NULL ends the table */
    const char *arguments; /* "ID…", as the help shows them; "" for none */
    const struct option *options;
    cli_handler *run;
    bool farm;           /* it talks to the farm over HTTP */
    bool program;        /* the first argument ends the options: what follows belongs to another program */
    int low, high;       /* number of arguments; high -1 is any */
    const char *doc;     /* one line */
    const char *details; /* paragraphs for the manual and --help, or NULL */
};

extern const struct command commands[];
extern const struct option common_options[]; /* those that each command takes */
extern const char *const commands_groups[];  /* "task": first words that need a second one; NULL ends */

/* The command the arguments begin with; used (may be NULL) receives how many words its name has. NULL if there is none. */
const struct command *command_find(int argc, char *const *argv, int *used);

/* Handlers, each in the file of its name. */
cli_handler recorder_command;
cli_handler record_add, record_list, record_remove, record_save, record_start, record_stop, record_status, record_coverage;
cli_handler up_command, run_command, run_list, run_abort, run_restart, logs_command, trace_command;
cli_handler task_list, task_show, task_create, task_update, task_delete, task_trigger, task_pause, task_resume;
cli_handler pool_list, pool_set, pool_delete;
cli_handler audit_command;
cli_handler task_list, task_show, task_create, task_update, task_apply, task_delete, task_trigger, task_pause, task_resume;
cli_handler apikey_create, apikey_list, apikey_revoke;
cli_handler webhook_create, webhook_list, webhook_show, webhook_update, webhook_delete, webhook_ping, webhook_deliveries,
    webhook_redeliver;
cli_handler worker_drain, worker_resume, worker_remove;
cli_handler events_command;
cli_handler key_worker;
cli_handler transcode_undo, transcode_queue, transcode_skip, transcode_bump, transcode_health;
cli_handler library_scan, library_list;
cli_handler render_analyze, render_submit, render_list, render_show, render_watch, render_download, render_cancel, render_pause,
    render_resume, render_retry;
cli_handler blobs_gc;
cli_handler key_process;
cli_handler backup_command, restore_command, fsck_command;
cli_handler fires_command, preview_command;
cli_handler graph_command, why_command, prune_command;
cli_handler workers_command, status_command, config_command, version_command, help_command, man_command, complete_command;

#endif
