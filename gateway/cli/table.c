#include "gateway/cli/table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/term.h"

#define GAP 2
#define LEAST 8 /* columns that a cut cell keeps */

struct table {
    size_t count; /* columns */
    bool right[TABLE_COLUMNS];
    char **cells; /* the headings first */
    size_t len, size;
    bool failed;
};

struct table *table_new(const char *const *headings, size_t count)
{
    struct table *table = calloc(1, sizeof *table);

    if (table == NULL || count == 0 || count > TABLE_COLUMNS) {
        free(table);
        return NULL;
    }
    table->count = count;
    for (size_t i = 0; i < count; i++) {
        table->right[i] = headings[i][0] == '>';
        table_add(table, headings[i] + (table->right[i] ? 1 : 0));
    }
    return table;
}

void table_free(struct table *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->len; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    free(table);
}

void table_add(struct table *table, const char *text)
{
    if (table->len == table->size) {
        size_t size = table->size != 0 ? table->size * 2 : 64;
        char **cells = realloc(table->cells, size * sizeof *cells);
        if (cells == NULL) {
            table->failed = true;
            return;
        }
        table->cells = cells;
        table->size = size;
    }
    char *copy = strdup(text != NULL ? text : "-");
    if (copy == NULL) {
        table->failed = true;
        return;
    }
    table->cells[table->len++] = copy;
}

void table_addf(struct table *table, const char *format, ...)
{
    char text[512];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    table_add(table, text);
}

/* How wide each column is: as its widest cell, then narrowed from the last column to the first until the row fits. */
static void widths_find(const struct table *table, int columns, int *widths)
{
    int sum = GAP * ((int)table->count - 1);

    memset(widths, 0, table->count * sizeof *widths);
    for (size_t i = 0; i < table->len; i++) {
        int width = term_width(table->cells[i]);
        int *column = &widths[i % table->count];
        *column = width > *column ? width : *column;
    }
    for (size_t i = 0; i < table->count; i++) {
        sum += widths[i];
    }
    for (size_t i = table->count; columns > 0 && sum > columns && i > 0; i--) {
        int spare = widths[i - 1] - LEAST;
        int cut = spare < sum - columns ? spare : sum - columns;
        if (cut > 0) {
            widths[i - 1] -= cut;
            sum -= cut;
        }
    }
}

int table_print(const struct table *table, int columns, FILE *out)
{
    int widths[TABLE_COLUMNS];

    if (table->failed) {
        return -1;
    }
    widths_find(table, columns, widths);
    for (size_t i = 0; i < table->len; i++) {
        size_t column = i % table->count;
        bool last = column + 1 == table->count;
        size_t size = strlen(table->cells[i]) + 8;
        char *fitted = malloc(size);
        if (fitted == NULL) {
            return -1;
        }
        int width = term_fit(table->cells[i], widths[column], fitted, size);
        int pad = widths[column] - width;
        if (table->right[column]) {
            fprintf(out, "%*s%s", pad, "", fitted);
        } else {
            fprintf(out, "%s%*s", fitted, last ? 0 : pad, "");
        }
        fprintf(out, "%*s", last ? 0 : GAP, "");
        if (last) {
            fputc('\n', out);
        }
        free(fitted);
    }
    return 0;
}
