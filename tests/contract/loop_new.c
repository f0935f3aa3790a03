/*
 * Creating a loop: its options, and creation without memory or descriptors.
 *
 * A call that fails must leave nothing behind and change nothing, wherever it
 * fails; so each allocation fails once, and each descriptor.
 */
#include "tests/contract/loop_rig.h"
#include "tests/contract/need_uring.h"
#include "tests/statistics.h"
#include "uring/feature.h"

#include <sys/resource.h>

static weir_loop *untouched = (weir_loop *)(uintptr_t)0x10;

static int try_new(const struct weir_loop_options *options)
{
    loop = untouched;
    int err = weir_loop_new(options, &loop);
    if (err < 0) {
        expect_eq(loop, untouched, "written although the call failed");
    }
    return err;
}

UNIT(loop_new, takes_no_options_and_options_that_are_all_zero)
{
    const struct weir_loop_options options = {.size = sizeof(options)};

    expect_eq(try_new(NULL), 0);
    close_loop();
    expect_eq(try_new(&options), 0);
    close_loop();
}

UNIT(loop_new, values_that_make_no_sense_are_refused)
{
    const struct weir_allocator empty = {.arg = NULL};
    const struct weir_loop_options bad[] = {
        {.size = sizeof(bad[0]), .sq_entries = 32769},
        {.size = sizeof(bad[0]), .sq_entries = UINT32_MAX},
        {.size = sizeof(bad[0]), .cq_entries = 65537},
        {.size = sizeof(bad[0]), .cq_entries = UINT32_MAX},
        {.size = sizeof(bad[0]), .held_limit_bytes = (1u << 20) - 1},
        {.size = sizeof(bad[0]), .allocator = &empty},
        {.size = sizeof(bad[0]), .engine = WEIR_ENGINE_POLL + 1},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_eq(try_new(&bad[i]), -EINVAL, "number %zu", i);
    }
    expect_eq(weir_loop_new(NULL, NULL), -EINVAL);
}

UNIT(loop_new, sizes_of_queues_are_rounded_up)
{
    static const uint32_t sizes[][2] = {{1, 1},   {1, 2},      {3, 100},
                                        {100, 3}, {512, 4096}, {4096, 1},
                                        {0, 64},  {32768, 0}};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const struct weir_loop_options options = {.size = sizeof(options),
                                                  .sq_entries = sizes[i][0],
                                                  .cq_entries = sizes[i][1]};
        expect_eq(try_new(&options), 0, "%u and %u", sizes[i][0], sizes[i][1]);
        soon(note_number, number(1));
        one_turn();
        expect_eq(event_count, (int)i + 1);
        close_loop();
    }
}

static void expect_engine(enum weir_engine engine)
{
    const char *name = engine == WEIR_ENGINE_POLL ? "poll" : "uring";
    char text[2048];
    char line[64];
    int reason = 1;
    expect_eq(weir_loop_get_engine(loop, NULL), engine);
    expect_eq(weir_loop_get_engine(loop, &reason), engine);
    expect_eq(reason, 0, "it was not refused");
    const struct weir_loop_statistics statistics = statistics_of(loop);
    expect_eq(statistics.poll_engines, engine == WEIR_ENGINE_POLL);
    weir_loop_get_features_text(loop, text, sizeof(text));
    snprintf(line, sizeof(line), "engine           %s\n", name);
    cr_expect_eq(strstr(text, line), text, "%s", text);
    soon(note_number, number(1));
    one_turn();
    close_loop();
}

UNIT(loop_new, a_loop_tells_its_engine)
{
    need_uring();
    struct weir_loop_options options = {.size = sizeof(options)};
    for (int i = WEIR_ENGINE_URING; i <= WEIR_ENGINE_POLL; i++) {
        options.engine = (enum weir_engine)i;
        expect_eq(try_new(&options), 0);
        expect_engine(options.engine);
    }
}

UNIT(loop_new, the_environment_names_the_engine_where_options_do_not)
{
    need_uring();
    struct weir_loop_options options = {.size = sizeof(options)};
    expect_eq(setenv("WEIR_ENGINE", "poll", 1), 0);
    expect_eq(try_new(NULL), 0);
    expect_engine(WEIR_ENGINE_POLL);
    options.engine = WEIR_ENGINE_URING;
    expect_eq(try_new(&options), 0);
    expect_engine(WEIR_ENGINE_URING);
    expect_eq(setenv("WEIR_ENGINE", "pole", 1), 0);
    expect_eq(try_new(NULL), -EINVAL);
}

static struct test_allocator memory;

static void make_without(void *arg)
{
    const struct weir_loop_options options = allocator_options(&memory);
    walk_begin(&memory);
    const int err = try_new(&options);
    expect_eq(err, walk_end(&memory) ? -ENOMEM : 0);
    if (err == 0) {
        close_loop();
    }
}

UNIT(loop_new, fails_cleanly_whichever_allocation_fails)
{
    expect_gt(walk_allocations(&memory, make_without, NULL), 4,
              "an allocation does not use the hook");
}

/* Memory for a first run and for connections is allocated later: then it fails,
 * and the loop continues. */
UNIT(loop_new, a_loop_without_memory_for_buffers_still_turns)
{
    struct test_allocator allocator;
    open_loop_from(&allocator);
    soon(note_number, number(1));
    allocator.fail_at = allocator.calls + 1;

    one_turn();

    expect_eq(event_count, 1);
    close_loop();
    allocator_check(&allocator);
}

static rlim_t lowest_free_fd(void)
{
    int fd = dup(0);
    expect_geq(fd, 0);
    close(fd);
    return (rlim_t)fd;
}

UNIT(loop_new, fails_cleanly_whichever_descriptor_fails)
{
    struct rlimit limit;
    struct rlimit lower;
    int err = -EMFILE;
    int failures = 0;
    expect_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    lower = limit;
    lower.rlim_cur = lowest_free_fd();

    while (err < 0) {
        struct test_allocator allocator;
        allocator_init(&allocator);
        const struct weir_loop_options options = allocator_options(&allocator);
        expect_eq(setrlimit(RLIMIT_NOFILE, &lower), 0);
        err = try_new(&options);
        expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        if (err == 0) {
            close_loop();
        } else {
            expect_eq(err, -EMFILE, "%s", weir_err_name(err));
            failures++;
            lower.rlim_cur++;
        }
        allocator_check(&allocator);
    }
    expect_geq(failures, 2, "an eventfd and a ring at least");
}

static size_t count_lines(const char *text)
{
    size_t count = 0;
    while ((text = strchr(text, '\n'))) {
        text++;
        count++;
    }
    return count;
}

UNIT(loop_new, the_mask_of_the_environment_takes_features_away)
{
    char text[2048];
    char masked[2048];
    expect_eq(setenv("WEIR_FEATURES_MASK", "", 1), 0);
    expect_eq(try_new(NULL), 0);
    expect_lt(weir_loop_get_features_text(loop, text, sizeof(text)),
              sizeof(text));
    close_loop();
    expect_eq(count_lines(text), WR_FEATURE_COUNT + 1, "and the engine");
    cr_assert_null(strstr(text, " masked "));

    expect_eq(setenv("WEIR_FEATURES_MASK", "all", 1), 0);
    expect_eq(try_new(NULL), 0);
    expect_lt(weir_loop_get_features_text(loop, masked, sizeof(masked)),
              sizeof(masked));
    soon(note_number, number(1));
    one_turn();
    close_loop();

    expect_eq(count_lines(masked), WR_FEATURE_COUNT + 1);
    cr_assert_null(strstr(masked, " yes"));
    expect_eq(strstr(text, " yes") != NULL, strstr(masked, " masked ") != NULL);
    expect_eq(event_count, 1, "a loop without any feature works");
}
