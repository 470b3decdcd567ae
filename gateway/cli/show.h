/* What the farm answered, for people and for programs. */
#ifndef GANTRY_CLI_SHOW_H
#define GANTRY_CLI_SHOW_H

#include <jansson.h>
#include <stdio.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/table.h"

/* Members of a JSON object. Text is "-" for null and what is absent, and borrowed. */
const char *show_text(const json_t *object, const char *name);
long long show_number(const json_t *object, const char *name); /* 0 when it is none */

/* `name:   value` lines; a value that is null, empty or absent gives none. Control characters are kept from the terminal. */
void show_field(const char *label, const char *value);
void show_fieldf(const char *label, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A member, as text, number, true or false, or compact JSON. */
void show_member(const char *label, const json_t *object, const char *name);
void show_member_time(const char *label, const json_t *object, const char *name);

/* Cells of a table. */
void show_cell(struct table *table, const json_t *object, const char *name);
void show_cell_time(struct table *table, const json_t *object, const char *name);

/* Prints the data as JSON. Answers EXIT_FINE. */
int show_json(const json_t *data);
/* A value as JSON, and the end of its line; flags: jansson's. What a terminal would take for commands is escaped. Below 0 with errno when it
 * cannot be written. */
int show_dump(const json_t *value, size_t flags, FILE *out);
/* Prints the table, and how many rows of how many it is. Takes the table. */
int show_table(struct table *table, const json_t *page);
/* "gantry: <text>" on stderr; answers the exit code. */
int show_error(const struct err *err);
/* The same for what is wrong with the command line. */
int show_usage(const struct err *err);
/* Some of stdout could not be written, for this errno (0: not known): said once. show_end makes a failure of it. */
void show_lost(int number);
/* The command's exit code, once all it printed has gone out or could not. */
int show_end(int code);

#endif
