/* YAML as JSON, for files that people write.
 *
 * Words that stand there without quotes are null (null, ~, nothing), true, false, or numbers as JSON writes them; everything else is text:
 * `no`, `on`, 0o17, 017 and 1_000 too, which other readers take for something else. Tags but !!str and merge keys are refused.
 */
#ifndef GANTRY_CLI_YAML_H
#define GANTRY_CLI_YAML_H

#include <jansson.h>

#include "proto/str.h"

#define YAML_BYTES ((size_t)4 << 20) /* of a file, and of its texts once aliases are written out */
#define YAML_NODES 100000            /* likewise */
#define YAML_DEPTH 32
#define YAML_ANCHORS 1000

/* A list of the documents, owned by the caller; NULL with err, which names the line. is_text: whether words without quotes in this member of
 * an outermost object (or of one in an outermost list) are text as they are written, whatever they look like; only null is still null. */
json_t *yaml_load(const char *data, size_t size, bool (*is_text)(const char *member), struct err *err);

#endif
