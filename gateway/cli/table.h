/* Tables for people: columns as wide as their widest cell, the last ones cut to fit the terminal. */
#ifndef GANTRY_CLI_TABLE_H
#define GANTRY_CLI_TABLE_H

#include <stddef.h>
#include <stdio.h>

struct table;

#define TABLE_COLUMNS 16 /* at most */

/* headings: one a column, copied; one that begins with '>' is for numbers, set to the right. NULL when out of memory. */
struct table *table_new(const char *const *headings, size_t count);
void table_free(struct table *table); /* takes NULL */

/* Adds the next cell, row by row; copied, NULL is "-". What finds no memory is left out and makes table_print answer -1. */
void table_add(struct table *table, const char *text);
void table_addf(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* columns: of the terminal, 0 for no limit (a file or a pipe: nothing is cut). */
int table_print(const struct table *table, int columns, FILE *out);

#endif
