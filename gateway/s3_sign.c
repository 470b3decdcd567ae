#include "gateway/s3_sign.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdio.h>
#include <time.h>

#include "proto/messages.h"

#define SHA 32

/* ---- the place ---- */

/* Letters, digits and . _ -: what hosts, buckets and regions are made of; more: further ones. */
static bool is_plain(const char *text, const char *more)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    for (; *text; text++)
        if (!strchr(letters, *text) && !strchr(more, *text))
            return false;
    return true;
}

/* A port that is the usual one is not said in Host. */
static void host_trim(char *host, bool tls)
{
    size_t len = strlen(host), usual = tls ? 4 : 3;

    if (len > usual && strcmp(host + len - usual, tls ? ":443" : ":80") == 0)
        host[len - usual] = '\0';
}

/* No part of a path that is empty or that programs on the way take away: then another name would be signed than the one asked for. */
static bool is_prefix(const char *text)
{
    char path[S3_PREFIX + sizeof "/assets/"];
    int len = snprintf(path, sizeof path, "/%sassets/", text);

    return len < (int)sizeof path && is_plain(text, "/") && !strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../");
}

int s3_place_read(struct s3_place *place, const char *url, const char *bucket, const char *prefix, const char *region,
                  struct err *err)
{
    bool tls = strncmp(url, "https://", 8) == 0;
    size_t scheme = tls ? 8 : 7;

    if ((!tls && strncmp(url, "http://", 7) != 0) || !url[scheme] || !is_plain(url + scheme, ":/[]"))
        return err_set(err, ERR_BAD_REQUEST, "blob.s3_url is no address (http://host:port or https://host): \"%.150s\"", url);
    if (!bucket[0] || strlen(bucket) > 63 || !is_plain(bucket, ""))
        return err_set(err, ERR_BAD_REQUEST, "blob.s3_bucket is no name of a bucket: \"%.80s\"", bucket);
    if (!region[0] || strlen(region) >= sizeof place->region || !is_plain(region, ""))
        return err_set(err, ERR_BAD_REQUEST, "blob.s3_region is no name of a region: \"%.80s\"", region);
    if (!is_prefix(prefix))
        return err_set(err, ERR_BAD_REQUEST,
                       "blob.s3_prefix is no beginning of names (letters, digits, . _ - and single slashes within): \"%.128s\"",
                       prefix);
    size_t host = strcspn(url + scheme, "/");
    const char *below = url + scheme + host;
    size_t path = strlen(below);
    while (path && below[path - 1] == '/')
        path--;
    if (host >= sizeof place->host || path > 256)
        return err_set(err, ERR_BAD_REQUEST, "blob.s3_url is too long");
    snprintf(place->host, sizeof place->host, "%.*s", (int)host, url + scheme);
    host_trim(place->host, tls);
    snprintf(place->url, sizeof place->url, "%s%s", tls ? "https://" : "http://", place->host);
    snprintf(place->path, sizeof place->path, "%.*s/%s", (int)path, below, bucket);
    snprintf(place->prefix, sizeof place->prefix, "%s", prefix);
    snprintf(place->region, sizeof place->region, "%s", region);
    return 0;
}

/* ---- the signature ---- */

static bool hmac(const void *key, size_t len, const char *text, unsigned char out[SHA])
{
    unsigned got = 0;

    return HMAC(EVP_sha256(), key, (int)len, (const unsigned char *)text, strlen(text), out, &got) && got == SHA;
}

/* The key of a day, a region and a service. */
static bool key_make(const struct s3_place *place, const char *day, unsigned char out[SHA])
{
    char first[sizeof place->secret + 4];
    int len = snprintf(first, sizeof first, "AWS4%s", place->secret);
    bool well = hmac(first, (size_t)len, day, out) && hmac(out, SHA, place->region, out) && hmac(out, SHA, "s3", out) &&
                hmac(out, SHA, "aws4_request", out);

    sodium_memzero(first, sizeof first);
    return well;
}

bool s3_sign(const struct s3_place *place, const char *method, const char *name, const char *more, uint64_t now_s,
             unsigned expires_s, char out[S3_ADDRESS])
{
    char day[16], at[24], scope[160], query[2600], asked[S3_ADDRESS], hash[2 * SHA + 1], wanted[400], signature[2 * SHA + 1];
    unsigned char bytes[SHA], key[SHA];
    unsigned got = 0;
    time_t now = (time_t)now_s;
    struct tm parts;

    gmtime_r(&now, &parts);
    strftime(at, sizeof at, "%Y%m%dT%H%M%SZ", &parts);
    strftime(day, sizeof day, "%Y%m%d", &parts);
    snprintf(scope, sizeof scope, "%s/%s/s3/aws4_request", day, place->region);
    int len = snprintf(query, sizeof query,
                       "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%s%%2F%s%%2F%s%%2Fs3%%2Faws4_request&X-Amz-Date=%s"
                       "&X-Amz-Expires=%u&X-Amz-SignedHeaders=host%s%s",
                       place->key, day, place->region, at, expires_s, more[0] ? "&" : "", more);
    int all = snprintf(asked, sizeof asked, "%s\n%s%s%s%s\n%s\nhost:%s\n\nhost\nUNSIGNED-PAYLOAD", method, place->path,
                       name[0] ? "/" : "", name[0] ? place->prefix : "", name, query, place->host);
    if (len >= (int)sizeof query || all >= (int)sizeof asked ||
        EVP_Digest(asked, (size_t)all, bytes, &got, EVP_sha256(), NULL) != 1)
        return false;
    sodium_bin2hex(hash, sizeof hash, bytes, SHA);
    snprintf(wanted, sizeof wanted, "AWS4-HMAC-SHA256\n%s\n%s\n%s", at, scope, hash);
    if (!key_make(place, day, key) || !hmac(key, SHA, wanted, bytes))
        return false;
    sodium_memzero(key, sizeof key);
    sodium_bin2hex(signature, sizeof signature, bytes, SHA);
    len = snprintf(out, S3_ADDRESS, "%s%s%s%s%s?%s&X-Amz-Signature=%s", place->url, place->path, name[0] ? "/" : "",
                   name[0] ? place->prefix : "", name, query, signature);
    return len < S3_ADDRESS;
}
