/* API keys as a gateway takes them: the file, followed, and when each was used last. */
#ifndef GANTRY_GATEWAY_AUTH_LIST_H
#define GANTRY_GATEWAY_AUTH_LIST_H

#include "gateway/auth_file.h"

struct auth_list;

/* Reads the file. NULL with err: it cannot be read or is damaged, which is no time to let anybody in or out. */
struct auth_list *auth_list_new(const struct settings *settings, struct err *err);
void auth_list_free(struct auth_list *list); /* writes what is not written yet; takes NULL */

/* The key that text is, in the file as it is now, also one that has expired; NULL if it is none. Borrowed until the next call. A file that
 * has become unreadable or damaged changes nothing, and is told in the log. */
struct auth_key *auth_list_match(struct auth_list *list, struct str text);
/* Whether a key of this id is still there, and has not expired. */
bool auth_list_holds(struct auth_list *list, const char *id);
/* A request of its holder was let in. */
void auth_list_used(struct auth_list *list, struct auth_key *key);
unsigned auth_list_count(const struct auth_list *list);

/* Looks at the file, also while nobody asks. */
void auth_list_look(struct auth_list *list);
/* Writes when keys were used, if there is news. */
void auth_list_flush(struct auth_list *list);

#endif
