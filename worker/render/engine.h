/* Programs that render, one row each: how they are called, how they say which version they are, and what they name what they make. */
#ifndef GANTRY_WORKER_RENDER_ENGINE_H
#define GANTRY_WORKER_RENDER_ENGINE_H

#include <stdbool.h>

#include "proto/str.h"

#define ENGINE_ARGS 64

struct engine_arg {
    const char *when; /* the value that has to be there for it; NULL: always */
    const char *text; /* {name} is replaced by that value */
};

struct engine_format {
    const char *extension, *name; /* as the engine calls it */
};

struct engine {
    const char *name;                    /* a task's render_engine */
    int setting;                         /* that names its program */
    const char *const *version_args;     /* that ask it for its version, and plug-ins; NULL: it cannot be asked */
    const char *version_words;           /* before the number, in its answer */
    const char *version_program;         /* that is asked in its place, in the same folder; NULL: it is asked itself */
    const char *version_file;            /* that says it, from the same folder, as JSON of Unreal's; NULL: none */
    const struct engine_format *formats; /* ends in an extension of NULL */
    const struct engine_arg *args;       /* ends in a text of NULL */
    const struct engine_arg
        *kept_args;    /* of one that makes frames as it is told on stdin (prepare.py); NULL: it makes one a start */
    const char *needs; /* values without which it cannot be called, separated by blanks */
    const char *made;  /* the folder that it writes frames below */
    bool prepares;     /* takes the Python of prepare.h */
    bool maps;         /* is told where files of other machines are (dirmap.h) */
};

struct engine_value {
    const char *name, *value; /* NULL or empty: not there */
};

extern const struct engine engines[]; /* ends in a name of NULL */

const struct engine *engine_find(const char *name); /* NULL: there is none such */
/* What it calls the format of files that end so (without regard to case); NULL: it cannot write them. */
const char *engine_format(const struct engine *engine, const char *extension);

/* The arguments behind the program, into argv (ENGINE_ARGS, NULL-terminated), each for free(): engine_args_free. values end in a name of
 * NULL. -1 with err: a value is missing, or there is no memory; argv is empty then. */
int engine_args(const struct engine *engine, const struct engine_value *values, char *argv[ENGINE_ARGS], struct err *err);
/* The same of an engine that is kept for several frames, as it may be. */
int engine_kept_args(const struct engine *engine, const struct engine_value *values, char *argv[ENGINE_ARGS], struct err *err);
void engine_args_free(char *argv[ENGINE_ARGS]);
/* A text with its {names} replaced, for free(). NULL with err. */
char *engine_fill(const char *text, const struct engine_value *values, struct err *err);

/* "3.4.1" from what it answered, into out; empty: it does not say. */
void engine_version(const struct engine *engine, const char *answer, char *out, size_t size);
/* "io_scene_fbx 4.37.1" from such a line, into out: a name, and a version if there is one; empty: the line says something else. */
void engine_plugin(const char *line, char *out, size_t size);

#endif
