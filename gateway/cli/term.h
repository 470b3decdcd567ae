/* Text on a terminal: widths, cutting, wrapping, times and amounts for people.
 *
 * Text from outside may hold anything; what is printed never moves the cursor or changes colours. */
#ifndef GANTRY_CLI_TERM_H
#define GANTRY_CLI_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Columns that text takes: wide characters take two, combining ones none, control characters one (they are shown as '?'). */
int term_width(const char *text);

/* Text cut to `columns` (an ellipsis marks the cut) and without control characters, into out. Answers the columns it takes. */
int term_fit(const char *text, int columns, char *out, size_t size);

/* A line as a terminal may have it: control characters, and those that turn the direction of text round, are '?'. colours: a program's own
 * stay, and end with the line. out has at least TERM_LINE(strlen(text)) bytes. */
void term_clean(const char *text, bool colours, char *out);
#define TERM_LINE(len) ((len) + 8)

/* Writes a line from outside and ends it: cleaned where it goes to a terminal, else as it is. Below 0 with errno when it cannot be written. */
int term_line(FILE *out, bool colours, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Words of text, wrapped; the first line is already indented. Ends in a newline. */
void term_wrap(const char *text, int indent, int columns, FILE *out);

/* Columns of the terminal behind a stream; 0 when it is none. */
int term_columns(FILE *stream);
/* Its rows; 0 when it is none. */
int term_rows(FILE *stream);

/* "2024-01-01T00:00:00Z" as local time "2024-01-01 01:00:00"; "-" for NULL; as it is when it cannot be read. Answers out. */
const char *term_time(const char *iso, char *out, size_t size);

/* 12 bytes, 1.5 GiB. Answers out. */
const char *term_size(uint64_t bytes, char *out, size_t size);

/* 3.2 s, 4m 05s, 2h 03m, 3d 04h */
const char *term_duration(double seconds, char *out, size_t size);

#endif
