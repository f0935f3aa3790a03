/*
 * The mailbox: order, one wake-up for many posts, closing while others post,
 * and posting threads.
 *
 * A missed wake-up makes a test hang until it is killed. It also runs under
 * ThreadSanitizer.
 */
#include "uring/wake.h"

#include "tests/death.h"
#include "tests/walk.h"
#include "uring/guard.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>

enum { LIMIT = 32 };

static struct test_allocator allocator;
static struct wr_wake *wake;

static void setup(void)
{
    allocator_init(&allocator);
    expect_eq(wr_wake_open(&allocator.hooks, LIMIT, &wake), 0);
}

static void with_wake(void (*body)(void))
{
    setup();
    body();
    wr_wake_unref(wake);
    allocator_check(&allocator);
}

/* Returns how often the eventfd was written since it was last read. */
static uint64_t wake_ups(void)
{
    struct pollfd poll_fd = {.fd = wr_wake_fd(wake), .events = POLLIN};
    uint64_t count = 0;
    if (poll(&poll_fd, 1, 0) == 1) {
        expect_eq(read(poll_fd.fd, &count, sizeof(count)), 8);
    }
    return count;
}

static int ran[2 * LIMIT];
static int ran_count;

static void note_run(void *arg)
{
    ran[ran_count++] = (int)(intptr_t)arg;
}

static void post(int number)
{
    expect_ok(
        wr_wake_post(wake, NULL, note_run, (void *)(intptr_t)number, NULL));
}

/* Runs the posts that were taken. Returns their number. */
static int run_taken(void)
{
    struct wr_wake_item *item;
    int count = 0;
    while ((item = wr_wake_pop(wake))) {
        item->run(item->arg);
        wr_wake_free_item(wake, item);
        count++;
    }
    return count;
}

static int take_and_run(void)
{
    wr_ignore(wr_wake_take(wake)); /* it may find none */
    return run_taken();
}

static int close_and_run(void)
{
    wr_wake_close(wake);
    return run_taken();
}

UNIT_IN(wake, posts_are_taken_all_at_once_oldest_first, with_wake, void)
{
    cr_assert_not(wr_wake_take(wake));
    post(1);
    post(2);
    post(3);

    expect_eq(take_and_run(), 3);
    expect_eq(ran[0], 1);
    expect_eq(ran[1], 2);
    expect_eq(ran[2], 3);
    cr_assert_not(wr_wake_take(wake));
}

UNIT(wake, many_posts_wake_once_until_the_owner_rests)
{
    setup();
    expect_eq(wake_ups(), 0);
    for (int i = 0; i < 20; i++) {
        post(i);
    }
    expect_eq(wake_ups(), 1);
    post(20);
    expect_eq(wake_ups(), 0, "what is there is not taken yet");
    expect_eq(take_and_run(), 21);
    post(21);
    expect_eq(wake_ups(), 0, "the owner looks again");
    cr_assert_not(wr_wake_rest(wake), "there was a post");
    expect_eq(take_and_run(), 1);
    cr_assert(wr_wake_rest(wake));
    cr_assert(wr_wake_rest(wake), "it rests already");
    post(22);
    expect_eq(wake_ups(), 1);
    cr_assert_not(wr_wake_rest(wake));
    expect_eq(take_and_run(), 1);
    wr_wake_unref(wake);
}

UNIT_IN(wake, an_owner_that_looks_again_is_told_of_closing, with_wake, void)
{
    post(1);
    expect_eq(take_and_run(), 1);
    expect_eq(wr_wake_cancel(wake, note_run, NULL), 0);
    expect_eq(close_and_run(), 0);
    cr_assert(wr_wake_rest(wake));
    expect_eq(wr_wake_post(wake, NULL, note_run, NULL, NULL), -ESHUTDOWN);
}

UNIT_IN(wake, closing_gives_what_was_never_taken_and_refuses_the_rest,
        with_wake, void)
{
    post(1);
    post(2);

    expect_eq(close_and_run(), 2);
    expect_eq(ran[0], 1);
    expect_eq(ran[1], 2);
    expect_eq(wr_wake_post(wake, NULL, note_run, NULL, NULL), -ESHUTDOWN);
    cr_assert_not(wr_wake_take(wake));
    expect_eq(close_and_run(), 0);
    expect_eq(wr_wake_post(wake, NULL, note_run, NULL, NULL), -ESHUTDOWN);
}

UNIT(wake, outlives_its_owner_and_the_allocator_struct)
{
    allocator_init(&allocator);
    struct weir_allocator copy = allocator.hooks;
    expect_eq(wr_wake_open(&copy, LIMIT, &wake), 0);
    memset(&copy, 0, sizeof(copy));
    wr_wake_ref(wake);
    expect_eq(close_and_run(), 0);
    wr_wake_unref(wake);

    expect_eq(wr_wake_post(wake, NULL, note_run, NULL, NULL), -ESHUTDOWN);
    wr_wake_unref(wake);
    allocator_check(&allocator);
}

UNIT_IN(wake, posting_without_memory_changes_nothing, with_wake, void)
{
    post(1);
    allocator.fail_at = allocator.calls + 1;
    expect_eq(wr_wake_post(wake, NULL, note_run, NULL, NULL), -ENOMEM);

    expect_eq(take_and_run(), 1);
}

UNIT(wake, opening_without_memory_leaves_nothing)
{
    allocator_init(&allocator);
    allocator.fail_at = 1;

    expect_eq(wr_wake_open(&allocator.hooks, LIMIT, &wake), -ENOMEM);
    allocator_check(&allocator);
}

UNIT(wake, opening_without_descriptors_leaves_nothing)
{
    struct rlimit before;
    allocator_init(&allocator);
    expect_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    expect_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    int err = wr_wake_open(&allocator.hooks, LIMIT, &wake);
    expect_eq(setrlimit(RLIMIT_NOFILE, &before), 0);

    expect_eq(err, -EMFILE);
    allocator_check(&allocator);
}

UNIT_IN(wake, an_item_takes_no_memory_and_keeps_its_place, with_wake, void)
{
    struct wr_wake_item item = {.run = note_run, .arg = (void *)(intptr_t)2};
    post(1);
    const uint64_t calls = allocator.calls;
    expect_eq(wr_wake_post_item(wake, &item), 0);
    expect_eq(allocator.calls, calls);
    post(3);
    expect_eq(wake_ups(), 1);

    expect_eq(take_and_run(), 3);

    expect_eq(ran[0], 1);
    expect_eq(ran[1], 2);
    expect_eq(ran[2], 3);
}

static struct wr_wake_item again;

static void post_again(void *arg)
{
    note_run(arg);
    if (ran_count < 3) {
        expect_eq(wr_wake_post_item(wake, &again), 0);
    }
}

UNIT_IN(wake, an_item_may_be_posted_again_when_it_runs, with_wake, void)
{
    again = (struct wr_wake_item){.run = post_again};
    expect_eq(wr_wake_post_item(wake, &again), 0);

    for (int i = 1; i <= 3; i++) {
        expect_eq(wake_ups(), i == 1 ? 1 : 0);
        cr_assert(wr_wake_take(wake));
        struct wr_wake_item *item = wr_wake_pop(wake);
        expect_eq(item, &again);
        cr_assert_null(wr_wake_pop(wake));
        item->run(item->arg);
        expect_eq(ran_count, i);
    }
    cr_assert_not(wr_wake_take(wake));
}

UNIT_IN(wake, an_item_is_given_back_by_closing_and_refused_after_it, with_wake,
        void)
{
    struct wr_wake_item item = {.run = note_run, .arg = (void *)(intptr_t)1};
    expect_eq(wr_wake_post_item(wake, &item), 0);

    wr_wake_close(wake);
    struct wr_wake_item *left = wr_wake_pop(wake);

    expect_eq(left, &item);
    cr_assert_null(wr_wake_pop(wake));
    wr_wake_free_item(wake, left); /* leaves it alone */
    expect_eq(wr_wake_post_item(wake, &item), -ESHUTDOWN);
}

UNIT_IN(wake, as_many_posts_wait_as_the_limit_says, with_wake, void)
{
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < LIMIT; i++) {
            post(i);
        }
        expect_eq(wr_wake_post(wake, NULL, note_run, NULL, NULL), -ENOBUFS);
        cr_assert(wr_wake_take(wake));
        expect_eq(wr_wake_post(wake, NULL, note_run, NULL, NULL), -ENOBUFS,
                  "taken is not popped");
        expect_eq(run_taken(), LIMIT);
        ran_count = 0;
    }
}

UNIT_IN(wake, only_items_that_are_counted_need_room, with_wake, void)
{
    struct wr_wake_item counted = {.run = note_run, .is_counted = true};
    struct wr_wake_item free_one = {.run = note_run};
    for (int i = 0; i < LIMIT - 1; i++) {
        post(i);
    }
    expect_eq(wr_wake_post_item(wake, &free_one), 0);
    expect_eq(wr_wake_post_item(wake, &counted), 0);
    expect_eq(take_and_run(), LIMIT + 1);

    wr_wake_close(wake);
    expect_eq(wr_wake_post_item(wake, &counted), -ESHUTDOWN);
    expect_eq(wr_wake_post_item(wake, &free_one), -ESHUTDOWN);
}

UNIT(wake, a_full_mailbox_that_is_closed_says_that_it_is_closed)
{
    setup();
    for (int i = 0; i < LIMIT; i++) {
        post(i);
    }
    wr_wake_close(wake);
    expect_eq(wr_wake_post(wake, NULL, note_run, NULL, NULL), -ESHUTDOWN);
    expect_eq(wr_wake_wait_room(wake, &allocator, UINT64_MAX), 0);
    expect_eq(run_taken(), LIMIT);
    wr_wake_unref(wake);
}

UNIT(wake, the_owners_thread_does_not_wait_for_room)
{
    setup();
    wr_wake_set_thread(wake, &allocator);
    expect_eq(wr_wake_wait_room(wake, &allocator, UINT64_MAX), -EDEADLK);
    expect_eq(wr_wake_wait_room(wake, NULL, UINT64_MAX), 0, "there is room");
    wr_wake_unref(wake);
}

UNIT_ABORTS(wake, posting_an_item_that_is_in_the_mailbox_is_a_bug,
            "!item->is_posted")
{
    struct wr_wake_item item = {.run = note_run};
    setup();
    expect_eq(wr_wake_post_item(wake, &item), 0);
    wr_ignore(wr_wake_post_item(wake, &item) == 0);
}

UNIT_ABORTS(wake, posting_an_item_that_is_taken_and_not_run_yet_is_a_bug,
            "!item->is_posted")
{
    struct wr_wake_item item = {.run = note_run};
    setup();
    post(1);
    expect_eq(wr_wake_post_item(wake, &item), 0);
    cr_assert(wr_wake_take(wake));
    cr_assert_not_null(wr_wake_pop(wake));
    wr_ignore(wr_wake_post_item(wake, &item) == 0);
}

UNIT_IN(wake, posts_taken_later_come_after_posts_taken_before, with_wake, void)
{
    for (int i = 1; i <= 4; i += 2) {
        post(i);
        post(i + 1);
        cr_assert(wr_wake_take(wake));
    }
    expect_eq(run_taken(), 4);
    for (int i = 0; i < 4; i++) {
        expect_eq(ran[i], i + 1);
    }
    post(5);
    expect_eq(take_and_run(), 1, "after everything was popped");
}

UNIT_ABORTS(wake, the_last_reference_with_posts_inside_is_a_bug,
            "!wake_is_item(left)")
{
    setup();
    post(1);
    wr_wake_unref(wake);
}

enum { POSTERS = 4, POSTS = 20000 };

struct poster {
    pthread_t thread;
    uint64_t posted; /* written by the thread, read when it has ended */
    uint64_t next;   /* used by the loop: number of the next post */
    uint64_t spacing;
};

struct message {
    struct poster *from;
    uint64_t number;
};

static struct poster posters[POSTERS];
static struct message messages[POSTERS][POSTS];

static void take_message(void *arg)
{
    struct message *message = arg;
    expect_eq(message->number, message->from->next, "out of order");
    message->from->next++;
}

/* Posts until all are posted or the mailbox is closed. */
static void *run_poster(void *arg)
{
    struct poster *self = arg;
    struct message *own = messages[self - posters];
    for (uint64_t i = 0; i < POSTS; i++) {
        own[i] = (struct message){.from = self, .number = i};
        int err = wr_wake_post(wake, NULL, take_message, &own[i], NULL);
        if (err) {
            break;
        }
        self->posted++;
        if (self->spacing && i % self->spacing == 0) {
            sched_yield();
        }
    }
    wr_wake_unref(wake);
    return NULL;
}

static void start_posters(void)
{
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.spacing = (uint64_t)i * 7};
        wr_wake_ref(wake);
        expect_ok(
            pthread_create(&posters[i].thread, NULL, run_poster, &posters[i]));
    }
}

/* Waits for a wake-up like the loop, and runs the posts. */
static int wait_and_run(uint64_t *wake_count)
{
    uint64_t count = 0;
    int ran_now = 0;
    expect_eq(read(wr_wake_fd(wake), &count, sizeof(count)), 8);
    *wake_count += count;
    do {
        ran_now += take_and_run();
    } while (!wr_wake_rest(wake));
    return ran_now;
}

UNIT(wake, posts_of_each_thread_keep_their_order_and_none_is_missed)
{
    uint64_t wake_count = 0;
    int got = 0;
    /* Several threads allocate: the C library's allocator supports that. */
    expect_eq(wr_wake_open(wr_default_allocator(), POSTERS * POSTS, &wake), 0);
    start_posters();
    while (got < POSTERS * POSTS) {
        /* A missed wake-up would hang here until the test is killed. */
        got += wait_and_run(&wake_count);
    }
    for (int i = 0; i < POSTERS; i++) {
        expect_eq(pthread_join(posters[i].thread, NULL), 0);
        expect_eq(posters[i].next, POSTS);
    }
    expect_leq(wake_count, POSTERS * POSTS);
    expect_eq(close_and_run(), 0);
    wr_wake_unref(wake);
}

static void race_close_against_posts(int takes)
{
    uint64_t wake_count = 0;
    uint64_t seen = 0;
    uint64_t posted = 0;
    expect_eq(wr_wake_open(wr_default_allocator(), POSTERS * POSTS, &wake), 0);
    wr_wake_ref(wake); /* for the check at the end */
    start_posters();
    for (int i = 0; i < takes; i++) {
        seen += (uint64_t)wait_and_run(&wake_count);
        if (seen == (uint64_t)POSTERS * POSTS) {
            break;
        }
    }
    seen += (uint64_t)close_and_run();
    wr_wake_unref(wake);
    for (int i = 0; i < POSTERS; i++) {
        expect_eq(pthread_join(posters[i].thread, NULL), 0);
        posted += posters[i].posted;
        expect_eq(posters[i].next, posters[i].posted);
    }
    expect_eq(seen, posted, "accepted posts and taken ones differ");
    cr_assert_not(wr_wake_take(wake));
    wr_wake_unref(wake);
}

UNIT(wake, closing_while_others_post_takes_exactly_what_was_accepted)
{
    for (int takes = 0; takes < 40; takes++) {
        race_close_against_posts(takes);
    }
}
