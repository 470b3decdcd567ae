/* The blob store's files in the core. */
#ifndef GANTRY_TESTS_ASSET_FIXTURE_H
#define GANTRY_TESTS_ASSET_FIXTURE_H

#include "tests/unit/core_fixture.h"

struct farm *asset_farm(void);

/* A file of 10 bytes that was uploaded, by this unionid, and is known by that path; "": nobody's, by none. */
static inline void asset_upload(struct fixture *fixture, const char *md5, const char *path, const char *unionid)
{
    struct msg_asset_add say = {.idem = fixture_key(fixture),
                                .md5 = str_of(md5),
                                .xxh64 = STR_LIT("12345678"),
                                .size = 10,
                                .unionid = str_of(unionid),
                                .path = str_of(path)};
    assert_int_equal(fixture_ask(fixture, &shape_msg_asset_add, &say)->shape->id, MSG_ASSET_ADDED);
}

#endif
