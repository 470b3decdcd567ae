/* `gantry audit` */
#include "gateway/cli/client.h"
#include "gateway/cli/page.h"
#include "gateway/cli/show.h"
#include "gateway/cli/term.h"

int audit_command(struct cli *cli)
{
    static const char *const headings[] = {"TIME", "WHO", "FROM", "METHOD", "PATH", "OUTCOME", ">TARGET", ">MORE", "REQUEST"};
    static const struct page_filter filters[] = {{"who", "who"},          {"method", "method"},  {"path", "path"},
                                                 {"since", "start_time"}, {"until", "end_time"}, {NULL, NULL}};
    const json_t *line;
    size_t index;
    int code;
    json_t *data = page_get(cli, "/system/audit", filters, &code);

    if (data == NULL || cli->json) {
        return page_end(data, code);
    }
    struct table *table = table_new(headings, 9);
    json_array_foreach(json_object_get(data, "items"), index, line)
    {
        show_cell_time(table, line, "timestamp");
        show_cell(table, line, "who");
        show_cell(table, line, "address");
        show_cell(table, line, "method");
        show_cell(table, line, "path");
        show_cell(table, line, "outcome");
        show_cell(table, line, "target_id");
        show_cell(table, line, "more");
        show_cell(table, line, "request_id");
    }
    code = show_table(table, data);
    return page_end(data, code);
}
