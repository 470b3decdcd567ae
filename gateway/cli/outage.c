#include "gateway/cli/outage.h"

#include "gateway/cli/term.h"

void outage_tell(void *arg, const struct err *why)
{
    struct outage *outage = arg;

    if (outage->told == (why != NULL)) {
        return;
    }
    outage->told = why != NULL;
    if (outage->clear != NULL) {
        outage->clear(outage->arg);
    }
    if (outage->bar != NULL) {
        progress_hide(outage->bar);
    }
    if (why != NULL) {
        term_line(stderr, false, "gantry: waiting for the farm to answer again (%s)", why->text);
    } else {
        fprintf(stderr, "gantry: the farm answers again\n");
    }
    if (outage->bar != NULL) {
        progress_show(outage->bar);
    }
}
