#include "gateway/cli/page.h"

#include <stdio.h>

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

int page_end(json_t *data, int code)
{
    json_decref(data);
    return code;
}
