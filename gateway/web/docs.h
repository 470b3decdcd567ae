/* /docs: what the API is, for people and for programs, offline. The files are those of docs/http, as they are in the source. */
#ifndef GANTRY_GATEWAY_WEB_DOCS_H
#define GANTRY_GATEWAY_WEB_DOCS_H

struct request;

void docs_page(struct request *request);     /* scheduler.html, made from the document by docs/http/page.py */
void docs_document(struct request *request); /* scheduler.yaml */

#endif
