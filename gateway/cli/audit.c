/* `gantry audit` */
#include "gateway/cli/page.h"

int audit_command(struct cli *cli)
{
    static const struct page_filter filters[] = {{"who", "who"},          {"method", "method"},  {"path", "path"},
                                                 {"since", "start_time"}, {"until", "end_time"}, {NULL, NULL}};
    static const struct page_column columns[] = {
        {"TIME", .member = "timestamp", .time = true},
        {"WHO", .member = "who"},
        {"FROM", .member = "address"},
        {"METHOD", .member = "method"},
        {"PATH", .member = "path"},
        {"OUTCOME", .member = "outcome"},
        {">TARGET", .member = "target_id"},
        {">MORE", .member = "more"},
        {"REQUEST", .member = "request_id"},
        {NULL},
    };

    return page_print(cli, "/system/audit", filters, columns);
}
