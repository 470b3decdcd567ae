#include "proto/endpoint.h"

int endpoint_of(const struct settings *settings, enum setting_id id, const char *name, bool listens, struct endpoint *out,
                struct err *err)
{
    if (settings_endpoint(settings, id, name, out->text, sizeof out->text, err) != 0)
        return -1;
    enum curve_side side = !listens                ? CURVE_CONNECTS
                           : id == SET_BUS_WORKERS ? CURVE_LISTENS_TO_WORKERS
                                                   : CURVE_LISTENS_TO_PROCESSES;
    return curve_prepare(settings, out->text, side, &out->paths, &out->curve, err);
}
