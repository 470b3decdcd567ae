/* A scene's files to the farm: only what it has not, each under the path that it is to have there. */
#ifndef GANTRY_CLI_RENDER_UPLOAD_H
#define GANTRY_CLI_RENDER_UPLOAD_H

#include "gateway/cli/cli.h"
#include "gateway/cli/render_files.h"

/* What goes by tus is gone on with where it was: after an outage, and at the next try of this command. -1 with err. */
int render_upload(struct cli *cli, struct render_files *files, const char *unionid, struct err *err);

#endif
