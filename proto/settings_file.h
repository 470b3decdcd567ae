/* The grammar of a settings file:
 *
 *   # a comment, also behind a value
 *   name = value
 *   name = "value with # or spaces at its ends, \" and \\"
 *
 * Lines end in LF or CRLF. It knows names and values only as text; what they mean is settings.c's.
 */
#ifndef GANTRY_PROTO_SETTINGS_FILE_H
#define GANTRY_PROTO_SETTINGS_FILE_H

#include <stddef.h>

#include "proto/str.h"

#define SETTINGS_FILE_MAX ((size_t)256 << 10) /* bytes */
#define SETTINGS_VALUE_MAX 4096               /* bytes of one value */

/* Called for each setting; name and value are borrowed for the call. Answers -1 with err to stop. */
typedef int settings_file_fn(void *arg, unsigned line, struct str name, struct str value, struct err *err);

/* -1 with err, which says the line, on a malformed one or when fn refused; `file` is for the message. */
int settings_file_parse(const char *file, struct str text, settings_file_fn *fn, void *arg, struct err *err);

/* The same for a file on disk. missing_ok: a file that is not there counts as empty. */
int settings_file_read(const char *file, bool missing_ok, settings_file_fn *fn, void *arg, struct err *err);

/* The end of a path, short enough to leave room for the rest of a message. */
const char *settings_file_label(const char *path);

#endif
