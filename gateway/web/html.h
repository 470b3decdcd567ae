/* HTML with everything from outside escaped. */
#ifndef GANTRY_GATEWAY_WEB_HTML_H
#define GANTRY_GATEWAY_WEB_HTML_H

#include "proto/buf.h"

/* Appends text as content or as an attribute's value: <>&"' become entities, control characters go. At most max characters; a cut
 * text ends in "…". */
void html_text(struct buf *out, struct str text, size_t max);

#endif
