/* How a request ends. Each of these is called once a request, from its handler or from an answer it waited for.
 *
 * Bodies are written straight to request->out (writer.h) before reply_done. When memory was short the client gets a 503 instead.
 */
#ifndef GANTRY_GATEWAY_REPLY_H
#define GANTRY_GATEWAY_REPLY_H

#include "gateway/request.h"

void reply_done(struct request *request, unsigned status);                              /* request->out is JSON */
void reply_written(struct request *request, unsigned status, const char *content_type); /* request->out is that; a literal */
void reply_html(struct request *request, unsigned status);                              /* request->out is a page */
void reply_text(struct request *request, unsigned status, const char *text);
void reply_empty(struct request *request, unsigned status);
/* Whether another answer may go on for long; false: it has been refused. Before reply_stream, once. */
bool reply_stream_begin(struct request *request);
/* Streams with this content type until stream->read says -1; copied. */
void reply_stream(struct request *request, const char *content_type, const struct stream *stream);

/* Adds a header to the answer to come; one longer than that is left out. */
#define REPLY_HEADER 4096
void reply_header(struct request *request, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The part of a file that request->file names: 206, or 200 where it is all of it. */
void reply_file(struct request *request, const char *content_type);

/* In the words and the envelope of the request's surface. */
void reply_problem(struct request *request, const struct problem *problem);
void reply_problem_kind(struct request *request, enum problem_kind kind);

enum ask_whom { ASK_SCHEDULER, ASK_STORE };
/* What a process said instead of an answer. */
void reply_error(struct request *request, const struct msg_error *error, enum ask_whom whom);

#endif
