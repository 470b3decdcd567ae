/* Lists: options to a query, and the answer's page as a table. */
#ifndef GANTRY_CLI_PAGE_H
#define GANTRY_CLI_PAGE_H

#include <jansson.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/table.h"

struct page_filter { /* a command's option and the query parameter it becomes; a NULL option ends the list */
    const char *option;
    const char *parameter;
};

/* Asks for a page; --sort, --order, --page and --size are added. The data, owned by the caller: with --json it is printed already
 * and *code is the exit code. NULL: the error is printed, *code is the exit code. */
json_t *page_get(const struct cli *cli, const char *path, const struct page_filter *filters, int *code);

/* Writes one cell of a row. */
typedef void page_cell(struct table *table, const json_t *row);

struct page_column {     /* a NULL heading ends the list */
    const char *heading; /* as a table's: '>' before one of numbers */
    const char *member;  /* of the row, or of an object in it (statistics.pending); NULL: cell writes it */
    page_cell *cell;     /* instead */
    bool time;           /* the member is one, and shown as people here read it */
};

/* Asks for a page and prints its items as a table of these columns, or with --json as they are. Answers the exit code. */
int page_print(const struct cli *cli, const char *path, const struct page_filter *filters, const struct page_column *columns);

/* Gives the data back (takes NULL) and answers code. */
int page_end(json_t *data, int code);

#endif
