/* Lists: options to a query, and the answer's page. */
#ifndef GANTRY_CLI_PAGE_H
#define GANTRY_CLI_PAGE_H

#include <jansson.h>

#include "gateway/cli/cli.h"

struct page_filter { /* a command's option and the query parameter it becomes; a NULL option ends the list */
    const char *option;
    const char *parameter;
};

/* Asks for a page; --sort, --order, --page and --size are added. The data, owned by the caller: with --json it is printed already
 * and *code is the exit code. NULL: the error is printed, *code is the exit code. */
json_t *page_get(const struct cli *cli, const char *path, const struct page_filter *filters, int *code);

/* Gives the data back (takes NULL) and answers code. */
int page_end(json_t *data, int code);

#endif
