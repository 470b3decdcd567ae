/* The certificate and key of https://, read once at the start: libmicrohttpd keeps them for its life. */
#ifndef GANTRY_GATEWAY_TLS_H
#define GANTRY_GATEWAY_TLS_H

#include "proto/buf.h"
#include "proto/settings.h"

struct tls {              /* zeroed: plain HTTP */
    struct buf cert, key; /* PEM, each with a NUL behind it */
};

/* Reads what http.tls_cert and http.tls_key name, if they do. -1 with err: only one is set, a file cannot be read, or the two do not
 * belong together. */
int tls_open(const struct settings *settings, struct tls *tls, struct err *err);
void tls_close(struct tls *tls);

static inline bool tls_is_on(const struct tls *tls)
{
    return tls->cert.len > 0;
}

/* TLS 1.2 and 1.3, with forward secrecy and authenticated ciphers only, as GnuTLS spells it. */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-AES-128-CBC:-AES-256-CBC:-SHA1:%SERVER_PRECEDENCE"

#endif
