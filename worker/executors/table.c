#include "worker/executors/executor.h"

const struct executor executors[] = {
    {"shell", executor_shell, "/bin/sh -c command, with arguments as $1 and on", false},
    {"exec", executor_exec, "command with arguments, without a shell", false},
    {"python", executor_python, "python3 command arguments", false},
    {"http", executor_http, "command is a URL, or METHOD URL", false},
    {"scan", executor_scan, "command is a folder of the library: looks through it, and tells the farm what has changed", false},
    {"transcode", executor_transcode, "command is a video below the library's folder (parameter root): encodes it anew", true},
    {"health", executor_health, "the same, and decodes it whole", false},
    {"undo", executor_undo, "the same, and gives it the place back that a transcode took", false},
    {"clear", executor_clear, "the same, and removes what its segments have left (parameter task)", false},
    {"record", executor_record,
     "command names a stream, parameter url is its address: records it for duration_s seconds into the MP4 output", true},
    {"scene", executor_scene,
     "parameter path, or else command, is a scene below scene.root: says how it is rendered, and what it needs", false},
    {"render", executor_render, "command is a scene, parameter engine a renderer, frame a number: makes that picture", true},
    {NULL, NULL, NULL, false},
};

const struct executor *executor_find(struct str name)
{
    for (const struct executor *row = executors; row->name; row++)
        if (str_is(name, row->name))
            return row;
    return NULL;
}
