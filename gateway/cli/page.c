#include "gateway/cli/page.h"

#include <stdio.h>
#include <string.h>

#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/show.h"
#include "proto/messages.h"

json_t *page_get(const struct cli *cli, const char *path, const struct page_filter *filters, int *code)
{
    static const struct page_filter common[] = {
        {"sort", "sort"}, {"order", "order"}, {"page", "page"}, {"size", "size"}, {NULL, NULL}};
    const struct page_filter *const both[] = {filters, common};
    struct err err = {0};
    char whole[4096];
    json_t *data = NULL;

    snprintf(whole, sizeof whole, "%s", path);
    for (size_t i = 0; i < 2; i++) {
        for (const struct page_filter *filter = both[i]; filter->option != NULL; filter++) {
            const char *value = args_text(cli->args, filter->option);
            if (value != NULL && client_query_add(whole, sizeof whole, filter->parameter, value) != 0) {
                err_set(&err, ERR_BAD_REQUEST, "--%s is too long", filter->option);
                *code = show_usage(&err);
                return NULL;
            }
        }
    }
    client_set_patience(cli->client, 0, 3000);
    if (client_call(cli->client, "GET", whole, NULL, &data, &err) != 0) {
        *code = err.code == ERR_BAD_REQUEST ? show_usage(&err) : show_error(&err); /* what options name is the farm's to judge */
        return NULL;
    }
    *code = cli->json ? show_json(data) : EXIT_FINE;
    return data;
}

static void row_add(struct table *table, const json_t *row, const struct page_column *column)
{
    const char *name = column->member;
    const char *dot = name != NULL ? strchr(name, '.') : NULL;

    if (column->cell != NULL) {
        column->cell(table, row);
        return;
    }
    if (dot != NULL) {
        row = json_object_getn(row, name, (size_t)(dot - name));
        name = dot + 1;
    }
    if (column->time) {
        show_cell_time(table, row, name);
    } else {
        show_cell(table, row, name);
    }
}

static struct table *columns_table(const struct page_column *columns)
{
    const char *headings[TABLE_COLUMNS];
    size_t count = 0;

    while (count < TABLE_COLUMNS && columns[count].heading != NULL) {
        headings[count] = columns[count].heading;
        count++;
    }
    return table_new(headings, count);
}

int page_print(const struct cli *cli, const char *path, const struct page_filter *filters, const struct page_column *columns)
{
    const json_t *row;
    size_t index;
    int code;
    json_t *data = page_get(cli, path, filters, &code);

    if (data == NULL || cli->json) {
        return page_end(data, code);
    }
    struct table *table = columns_table(columns);
    json_array_foreach(json_object_get(data, "items"), index, row)
    {
        for (const struct page_column *column = columns; table != NULL && column->heading != NULL; column++) {
            row_add(table, row, column);
        }
    }
    return page_end(data, show_table(table, data));
}

int page_end(json_t *data, int code)
{
    json_decref(data);
    return code;
}
