#include "gateway/tls.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <sodium.h>
#include <time.h>

#include "gateway/auth_file.h"
#include "proto/clock.h"
#include "proto/file.h"
#include "proto/log.h"
#include "proto/messages.h"

#define SOON_S (14 * 86400) /* a certificate that ends in less is told of */

static int file_take(const char *setting, const char *path, struct buf *out, struct err *err)
{
    int rc = file_read(path, out, err);

    if (rc > 0)
        return err_set(err, ERR_NOT_FOUND, "%s: %s is not there", setting, path);
    if (rc == 0 && (out->len == 0 || memchr(out->data, '\0', out->len)))
        return err_set(err, ERR_INVALID, "%s: %s is not PEM", setting, path);
    if (rc == 0 && buf_add(out, "", 1) != 0)
        return err_set(err, ERR_NO_MEMORY, "no memory for %s", path);
    return rc;
}

/* As libmicrohttpd will: it only says no. */
static int pair_check(const struct tls *tls, const char *path, struct err *err)
{
    gnutls_certificate_credentials_t pair = NULL;
    gnutls_datum_t cert = {(unsigned char *)tls->cert.data, (unsigned)tls->cert.len - 1};
    gnutls_datum_t key = {(unsigned char *)tls->key.data, (unsigned)tls->key.len - 1};
    int code = gnutls_certificate_allocate_credentials(&pair);

    if (code == GNUTLS_E_SUCCESS)
        code = gnutls_certificate_set_x509_key_mem(pair, &cert, &key, GNUTLS_X509_FMT_PEM);
    if (pair)
        gnutls_certificate_free_credentials(pair);
    if (code >= 0)
        return 0;
    return err_set(err, ERR_INVALID, "http.tls_cert (%.100s) and http.tls_key cannot be used: %s", path, gnutls_strerror(code));
}

/* Clients will refuse one that is out of its time, and most of them without saying so clearly. */
static void tell_times(const struct buf *pem, const char *path)
{
    gnutls_datum_t text = {(unsigned char *)pem->data, (unsigned)pem->len - 1};
    gnutls_x509_crt_t cert = NULL;
    char at[CLOCK_ISO_SIZE];
    time_t now = time(NULL);

    if (gnutls_x509_crt_init(&cert) != GNUTLS_E_SUCCESS)
        return;
    if (gnutls_x509_crt_import(cert, &text, GNUTLS_X509_FMT_PEM) == GNUTLS_E_SUCCESS) { /* the first: the server's own */
        time_t from = gnutls_x509_crt_get_activation_time(cert), until = gnutls_x509_crt_get_expiration_time(cert);
        if (until < now)
            log_warn("GTY-TLS-EXPIRED", "http.tls_cert: %s ended at %s: clients refuse it", path,
                     clock_iso((uint64_t)until * 1000, 0, at));
        else if (until - now < SOON_S)
            log_warn("GTY-TLS-ENDS", "http.tls_cert: %s ends at %s", path, clock_iso((uint64_t)until * 1000, 0, at));
        if (from > now)
            log_warn("GTY-TLS-EARLY", "http.tls_cert: %s begins at %s: clients refuse it until then", path,
                     clock_iso((uint64_t)from * 1000, 0, at));
    }
    gnutls_x509_crt_deinit(cert);
}

int tls_open(const struct settings *settings, struct tls *tls, struct err *err)
{
    const char *cert = settings_text(settings, SET_HTTP_TLS_CERT), *key = settings_text(settings, SET_HTTP_TLS_KEY);
    char why[PATH_MAX + 128];

    if (!cert[0] && !key[0])
        return 0;
    if (!cert[0] || !key[0])
        return err_set(err, ERR_INVALID, "http.tls_cert and http.tls_key belong together: %s is empty",
                       cert[0] ? "http.tls_key" : "http.tls_cert");
    if (file_take("http.tls_cert", cert, &tls->cert, err) == 0 && file_take("http.tls_key", key, &tls->key, err) == 0 &&
        pair_check(tls, cert, err) == 0) {
        tell_times(&tls->cert, cert);
        if (auth_file_exposed(key, why, sizeof why))
            log_warn("GTY-KEY-EXPOSED", "http.tls_key: %s", why);
        return 0;
    }
    tls_close(tls);
    return -1;
}

void tls_close(struct tls *tls)
{
    if (tls->key.len > 0)
        sodium_memzero(tls->key.data, tls->key.len);
    buf_free(&tls->key);
    buf_free(&tls->cert);
}
