/*
 * Structs that the library fills in for callers of other versions.
 *
 * An older caller's struct has fewer fields than the library, a newer caller's
 * has more.
 */
#include "lib/base/options.h"
#include "tests/unit.h"

#include <errno.h>
#include <weir/error.h>

struct known {
    size_t size;
    uint64_t first;
    uint64_t second;
};

static const struct known answer = {.first = 1, .second = 2};

UNIT(answer, a_caller_of_the_same_version_has_all_fields)
{
    struct known ret = {.size = sizeof(ret)};

    expect_eq(wr_answer_check(&ret), 0);
    wr_answer_write(&ret, &answer, sizeof(answer));
    expect_eq(ret.size, sizeof(ret));
    expect_eq(ret.first, 1);
    expect_eq(ret.second, 2);
}

UNIT(answer, an_older_caller_has_no_byte_written_behind_its_struct)
{
    struct known ret = {.size = offsetof(struct known, second), .second = 77};

    wr_answer_write(&ret, &answer, sizeof(answer));
    expect_eq(ret.size, offsetof(struct known, second));
    expect_eq(ret.first, 1);
    expect_eq(ret.second, 77);
}

UNIT(answer, a_newer_caller_has_zeroes_where_this_library_knows_no_field)
{
    struct {
        struct known known;
        uint64_t third;
    } ret = {.known.size = sizeof(ret), .third = 77};

    wr_answer_write(&ret, &answer, sizeof(answer));
    expect_eq(ret.known.size, sizeof(ret));
    expect_eq(ret.known.second, 2);
    expect_eq(ret.third, 0);
}

UNIT(answer, a_struct_without_its_size_is_refused)
{
    const struct known unset = {.first = 1};

    const struct known wild = {.size = SIZE_MAX / 2};

    expect_eq(wr_answer_check(&unset), WEIR_EOPTIONSIZE);
    expect_eq(wr_answer_check(&wild), WEIR_EOPTIONSIZE);
    expect_eq(wr_answer_check(NULL), -EINVAL);
}
