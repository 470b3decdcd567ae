/* Looks up names that end in .slow.invalid only once the file SLOW_NAMES is there, and then in vain (LD_PRELOAD): a name server that does
 * not answer, for as long as a test wants. */
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int lookup_fn(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out);

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    static const char suffix[] = ".slow.invalid";
    const char *gate = getenv("SLOW_NAMES");
    size_t len = node ? strlen(node) : 0, end = sizeof suffix - 1;
    if (!gate || len <= end || strcmp(node + len - end, suffix) != 0)
        return ((lookup_fn *)dlsym(RTLD_NEXT, "getaddrinfo"))(node, service, hints, out);
    while (access(gate, F_OK) != 0)
        usleep(20000);
    return EAI_NONAME;
}
