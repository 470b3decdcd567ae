#include "worker/scene/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#define STACK ((size_t)128 << 10)

struct part {
    const void *data;
    size_t len;
    bool pending;
};

struct digest {
    EVP_MD_CTX *context;
    bool failed;
    unsigned added;
    bool threaded, over;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t more, done;
    struct part parts[DIGEST_BLOCKS];
    unsigned queue[DIGEST_BLOCKS], first, waiting; /* numbers of parts, in their order */
};

struct digest *digest_new(void)
{
    struct digest *digest = calloc(1, sizeof(*digest));
    if (!digest)
        return NULL;
    pthread_mutex_init(&digest->mutex, NULL);
    pthread_cond_init(&digest->more, NULL);
    pthread_cond_init(&digest->done, NULL);
    digest->context = EVP_MD_CTX_new();
    if (digest->context && EVP_DigestInit_ex(digest->context, EVP_md5(), NULL) == 1)
        return digest;
    digest_free(digest);
    return NULL;
}

static void *work(void *arg)
{
    struct digest *digest = arg;
    pthread_mutex_lock(&digest->mutex);
    for (;;) {
        while (digest->waiting == 0 && !digest->over)
            pthread_cond_wait(&digest->more, &digest->mutex);
        if (digest->waiting == 0)
            break;
        struct part *part = &digest->parts[digest->queue[digest->first]];
        pthread_mutex_unlock(&digest->mutex);
        bool well = EVP_DigestUpdate(digest->context, part->data, part->len) == 1;
        pthread_mutex_lock(&digest->mutex);
        digest->failed = digest->failed || !well;
        digest->first = (digest->first + 1) % DIGEST_BLOCKS;
        digest->waiting--;
        part->pending = false;
        pthread_cond_signal(&digest->done);
    }
    pthread_mutex_unlock(&digest->mutex);
    return NULL;
}

static void thread_begin(struct digest *digest)
{
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0)
        return;
    pthread_attr_setstacksize(&attr, STACK);
    digest->threaded = pthread_create(&digest->thread, &attr, work, digest) == 0;
    pthread_attr_destroy(&attr);
}

static void thread_end(struct digest *digest)
{
    if (!digest->threaded)
        return;
    pthread_mutex_lock(&digest->mutex);
    digest->over = true;
    pthread_cond_signal(&digest->more);
    pthread_mutex_unlock(&digest->mutex);
    pthread_join(digest->thread, NULL);
    digest->threaded = false;
}

void digest_add(struct digest *digest, unsigned block, const void *data, size_t len)
{
    if (digest->added++ == 1)
        thread_begin(digest);
    if (!digest->threaded) {
        digest->failed = EVP_DigestUpdate(digest->context, data, len) != 1 || digest->failed;
        return;
    }
    pthread_mutex_lock(&digest->mutex);
    digest->parts[block] = (struct part){data, len, true};
    digest->queue[(digest->first + digest->waiting++) % DIGEST_BLOCKS] = block;
    pthread_cond_signal(&digest->more);
    pthread_mutex_unlock(&digest->mutex);
}

void digest_wait(struct digest *digest, unsigned block)
{
    if (!digest->threaded)
        return;
    pthread_mutex_lock(&digest->mutex);
    while (digest->parts[block].pending)
        pthread_cond_wait(&digest->done, &digest->mutex);
    pthread_mutex_unlock(&digest->mutex);
}

int digest_end(struct digest *digest, unsigned char out[DIGEST_SIZE])
{
    unsigned len = 0;
    thread_end(digest);
    return !digest->failed && EVP_DigestFinal_ex(digest->context, out, &len) == 1 && len == DIGEST_SIZE ? 0 : -1;
}

void digest_free(struct digest *digest)
{
    if (!digest)
        return;
    thread_end(digest);
    EVP_MD_CTX_free(digest->context);
    pthread_cond_destroy(&digest->more);
    pthread_cond_destroy(&digest->done);
    pthread_mutex_destroy(&digest->mutex);
    free(digest);
}
