/* An open file as the answer, or the part of it that Range asks for. */
#ifndef GANTRY_GATEWAY_SERVE_H
#define GANTRY_GATEWAY_SERVE_H

#include "gateway/request.h"

/* Answers; fd is taken. tag: stands for its content in ETag and If-Range, at most 45 characters (NULL: its size and time do).
 * content_type: a literal. */
void serve_file(struct request *request, int fd, const char *tag, const char *content_type);

#endif
