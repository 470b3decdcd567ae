/* Tasks that somebody wrote down: a file of YAML or JSON, `-` for stdin. */
#ifndef GANTRY_CLI_TASKS_FILE_H
#define GANTRY_CLI_TASKS_FILE_H

#include <jansson.h>

#include "proto/str.h"

#define TASKS_FILE_MOST 1000 /* tasks of a file */

/* A list of objects with the fields of a task, as the server takes them, and no others: one task, a list of them, or (YAML) several documents.
 * A name that ends in .json is JSON and one in .yaml or .yml YAML; another is JSON if it begins with { or [ and is JSON. NULL with err, which begins with
 * the file's name. */
json_t *tasks_file(const char *path, struct err *err);

/* The same of what has been read. */
json_t *tasks_text(const char *name, const char *data, size_t size, struct err *err);

#endif
