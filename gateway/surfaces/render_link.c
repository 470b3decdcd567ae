/* Links that a file can be fetched by for an hour, by whoever has them: signed with a secret that lies beside the blobs, so that they outlive a
 * restart of the gateway. */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "gateway/s3.h"
#include "gateway/serve.h"
#include "gateway/surfaces/render_files.h"
#include "proto/clock.h"
#include "proto/file.h"

#define LINK_SECONDS 3600
#define SIGNATURE (2 * crypto_auth_BYTES + 1)

/* ---- the secret ---- */

static int secret_make(const char *path, struct err *err)
{
    unsigned char bytes[crypto_auth_KEYBYTES];
    char text[2 * sizeof bytes + 1];

    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2hex(text, sizeof text, bytes, sizeof bytes);
    return file_replace(path, str_of(text), true, err);
}

static bool secret_read(const char *path, unsigned char out[crypto_auth_KEYBYTES], struct err *err)
{
    struct buf text = {.limit = 256};
    size_t got = 0;
    int there = file_read(path, &text, err);
    bool well = there == 0 && sodium_hex2bin(out, crypto_auth_KEYBYTES, text.data, text.len, "\n", &got, NULL) == 0 &&
                got == crypto_auth_KEYBYTES;

    buf_free(&text);
    if (there == 0 && !well)
        err_set(err, ERR_IO, "%s is damaged", path);
    return well;
}

/* The secret, made if there is none. NULL with err. */
static const unsigned char *secret(const struct gateway *gateway, struct err *err)
{
    static unsigned char kept[crypto_auth_KEYBYTES];
    static bool known;
    char root[4096], path[4200];

    if (known)
        return kept;
    if (!gateway->files) {
        err_set(err, ERR_UNAVAILABLE, "there are no files");
        return NULL;
    }
    if (!blob_root(gateway->settings, root)) {
        err_set(err, ERR_IO, "blob.dir is too long");
        return NULL;
    }
    snprintf(path, sizeof path, "%s/link.key", root);
    if (!secret_read(path, kept, err) && !err->code && file_folder(root, err) == 0 && secret_make(path, err) == 0)
        secret_read(path, kept, err); /* another's, if that one was first */
    known = !err->code;
    return known ? kept : NULL;
}

static void sign(const unsigned char *key, uint64_t asset_id, uint64_t expires, char out[SIGNATURE])
{
    unsigned char mac[crypto_auth_BYTES];
    char text[64];
    int len = snprintf(text, sizeof text, "asset %" PRIu64 " until %" PRIu64, asset_id, expires);

    crypto_auth(mac, (const unsigned char *)text, (unsigned long long)len, key);
    sodium_bin2hex(out, SIGNATURE, mac, sizeof mac);
}

/* ---- the record ---- */

/* False, and answered: there is none. */
static bool asset_open(struct request *request, const struct msg *msg, struct rec_asset *asset)
{
    const struct rec_row_list *rows = &msg->u.query_rows.rows;
    struct arena *arena = request_arena(request);
    struct err err = {.code = ERR_NO_MEMORY};

    if (rows->count == 0) {
        render_refuse(request, PROBLEM_NOT_FOUND, "asset_id", "asset_missing", request->match.args[0]);
        return false;
    }
    if (arena && rec_decode_asset(arena, rows->items[0].value, asset, &err) == 0)
        return true;
    reply_problem_kind(request, err.code == ERR_NO_MEMORY ? PROBLEM_OVERLOADED : PROBLEM_INTERNAL);
    return false;
}

static void asset_ask(struct request *request, void (*on_answer)(struct request *request, const struct msg *msg))
{
    uint64_t id = 0;
    struct msg_get get = {.type = TYPE_ASSET, .ids = {&id, 1}};

    if (!uri_number(request->match.args[0], &id))
        render_refuse(request, PROBLEM_NOT_FOUND, "asset_id", "asset_missing", request->match.args[0]);
    else
        ask_send(request, ASK_STORE, &shape_msg_get, &get, on_answer);
}

/* ---- a link ---- */

void render_base(const struct request *request, struct buf *out)
{
    static const char mark[] = "/files/";
    struct str path = request->uri.path, host = request->headers.host;
    const char *at = memmem(path.ptr, path.len, mark, sizeof mark - 1);
    uint32_t keep = at ? (uint32_t)(at - path.ptr) : 0;

    if (host.len)
        buf_printf(out, "%s://%.*s", tls_is_on(&request->gateway->tls) ? "https" : "http", (int)host.len, host.ptr);
    buf_printf(out, "%.*s", (int)keep, path.ptr);
}

/* In the folder, also where a store keeps what comes from now on. */
static bool is_local(const struct request *request, const unsigned char *md5)
{
    int fd = request->gateway->s3 ? blob_open(request->gateway->settings, md5) : -1;

    if (fd >= 0)
        close(fd);
    return !request->gateway->s3 || fd >= 0;
}

/* To the store itself, or to us. -1, and answered. */
static int url_write(struct request *request, const struct rec_asset *asset, uint64_t expires, struct buf *url)
{
    char signature[SIGNATURE], address[S3_ADDRESS];
    const unsigned char *md5 = (const unsigned char *)asset->md5.ptr;
    struct err err = {0};

    if (!is_local(request, md5)) {
        if (s3_link(request->gateway->s3, md5, address))
            return buf_text(url, address);
        render_refuse(request, PROBLEM_INTERNAL, NULL, "blob_s3", STR_LIT("blob.s3_url"));
        return -1;
    }
    const unsigned char *key = secret(request->gateway, &err);
    if (!key) {
        render_refuse(request, PROBLEM_INTERNAL, NULL, "blob_disk", str_of(err.text));
        return -1;
    }
    sign(key, asset->id, expires, signature);
    render_base(request, url);
    buf_printf(url, "/files/link/%" PRIu64 "?expires=%" PRIu64 "&signature=%s", asset->id, expires, signature);
    return 0;
}

/* Ids can be counted through: so a file that somebody else has sent is for who knows its hash, as it is by that (/files/blob). False, and
 * answered: it is not for who asks. */
static bool asset_may(struct request *request, const struct rec_asset *asset)
{
    struct str own, hash = {0};
    unsigned char md5[BLOB_MD5];

    if (!render_whose(request, &own) || asset->unionid.len == 0 || str_eq(own, asset->unionid))
        return true;
    uri_param(&request->uri, "hash", &hash);
    if (blob_read_hex(hash, md5) && memcmp(md5, asset->md5.ptr, BLOB_MD5) == 0)
        return true;
    render_refuse(request, PROBLEM_FORBIDDEN, "asset_id", "asset_whose", request->match.args[0]);
    return false;
}

static void on_asset(struct request *request, const struct msg *msg)
{
    struct buf url = {.limit = 16384};
    struct rec_asset asset;
    struct writer w;
    uint64_t expires = clock_wall_ms() / 1000 + LINK_SECONDS;

    if (!asset_open(request, msg, &asset) || !asset_may(request, &asset) || url_write(request, &asset, expires, &url) != 0) {
        buf_free(&url);
        return;
    }
    render_open(request, &w, 200, TEXT_API_OK);
    writer_open(&w, "data", '{');
    writer_uint(&w, "asset_id", asset.id);
    writer_text(&w, "download_url", buf_str(&url));
    writer_time(&w, "expires_at", expires * 1000);
    writer_close(&w, '}');
    request->out.failed = request->out.failed || url.failed;
    buf_free(&url);
    render_close(request, &w, 200);
}

void render_files_link(struct request *request)
{
    asset_ask(request, on_asset);
}

/* ---- and where it leads ---- */

static void on_linked(struct request *request, const struct msg *msg)
{
    struct rec_asset asset;
    char hex[BLOB_HEX];

    if (!asset_open(request, msg, &asset))
        return;
    int fd = blob_open(request->gateway->settings, (const unsigned char *)asset.md5.ptr);
    if (fd < 0 && request->gateway->s3) {
        render_lead_on(request, (const unsigned char *)asset.md5.ptr);
        return;
    }
    if (fd < 0) {
        render_refuse_disk(request, errno);
        return;
    }
    blob_hex((const unsigned char *)asset.md5.ptr, hex);
    serve_file(request, fd, hex, "application/octet-stream");
}

void render_files_linked(struct request *request)
{
    struct str expires = {0}, given = {0};
    uint64_t id = 0, until = 0;
    struct err err = {0};
    char signature[SIGNATURE];
    const unsigned char *key = secret(request->gateway, &err);

    uri_param(&request->uri, "expires", &expires);
    uri_param(&request->uri, "signature", &given);
    if (!key) {
        render_refuse(request, PROBLEM_INTERNAL, NULL, "blob_disk", str_of(err.text));
        return;
    }
    bool well = uri_number(request->match.args[0], &id) && uri_number(expires, &until) && given.len == SIGNATURE - 1;
    sign(key, id, until, signature);
    if (!well || sodium_memcmp(given.ptr, signature, SIGNATURE - 1) != 0 || until <= clock_wall_ms() / 1000)
        render_refuse(request, PROBLEM_FORBIDDEN, "signature", "link_expired", (struct str){NULL, 0});
    else
        asset_ask(request, on_linked);
}
