/* Between the two halves of executor http: a file of `name=value` texts, each ended by a NUL.
 * method, url, header (any number), status (expected; any number), body. */
#ifndef GANTRY_WORKER_EXECUTORS_HTTP_H
#define GANTRY_WORKER_EXECUTORS_HTTP_H

#define HTTP_METHOD_MAX 16
#define HTTP_REQUEST_MAX ((size_t)2 << 20)
#define HTTP_RESULT_MAX ((size_t)65536)  /* of the response: the run's result */
#define HTTP_PRINT_MAX ((size_t)1 << 20) /* of the response: the run's log */
#define HTTP_RESPONSE_MAX ((size_t)1 << 30)

#endif
