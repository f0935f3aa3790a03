/*
 * Posts that are revoked with weir_loop_cancel_posted().
 *
 * Each post either runs or its dropped function is called, even here. A storm
 * of threads that post while the loop revokes counts that exactly one of both
 * happens to each.
 */
#include "tests/contract/executor_rig.h"

enum { THREADS = 4, POSTS = 3000 };

struct letter {
    int ran_count;
    int dropped_count;
};

static struct letter letters[THREADS * POSTS];
static int order[8];
static int order_count;

static void run_letter(void *arg)
{
    struct letter *letter = arg;
    letter->ran_count++;
    if (order_count < 8) {
        order[order_count++] = (int)(letter - letters);
    }
}

static void run_other(void *arg)
{
    run_letter(arg);
}

static void drop_letter(void *arg)
{
    struct letter *letter = arg;
    letter->dropped_count++;
    cr_assert(pthread_equal(pthread_self(), loop_thread));
}

static void open_letters(uint32_t post_limit)
{
    loop_thread = pthread_self();
    order_count = 0;
    memset(letters, 0, sizeof(letters));
    open_loop(SIZED(weir_loop_options, .post_limit = post_limit));
}

static int post(weir_callback_fn *cb, int number)
{
    return weir_loop_call_soon_threadsafe(loop, cb, &letters[number],
                                          drop_letter);
}

static void expect_letter(int number, int ran_count, int dropped_count)
{
    expect_eq(letters[number].ran_count, ran_count);
    expect_eq(letters[number].dropped_count, dropped_count);
}

UNIT(post_cancel, a_post_that_is_taken_back_is_dropped_in_its_place)
{
    open_letters(0);
    for (int i = 0; i < 3; i++) {
        expect_eq(post(run_letter, i), 0);
    }
    expect_eq(weir_loop_cancel_posted(loop, run_letter, &letters[1]), 1);
    expect_letter(1, 0, 0); /* it is not called from inside the call */
    expect_eq(weir_loop_cancel_posted(loop, run_letter, &letters[1]), 0);

    one_turn();
    one_turn();

    expect_letter(0, 1, 0);
    expect_letter(1, 0, 1);
    expect_letter(2, 1, 0);
    expect_eq(order[1], 2, "the others keep their order");
    expect_eq(weir_loop_cancel_posted(loop, run_letter, &letters[0]), 0,
              "it has run");
    close_loop();
}

UNIT(post_cancel, all_posts_of_the_function_and_its_argument_are_taken_back)
{
    open_letters(0);
    expect_eq(post(run_letter, 0), 0);
    expect_eq(post(run_other, 0), 0);
    expect_eq(post(run_letter, 1), 0);
    expect_eq(post(run_letter, 0), 0);
    expect_ok(
        weir_loop_call_soon_threadsafe(loop, run_letter, &letters[0], NULL));

    expect_eq(weir_loop_cancel_posted(loop, run_letter, &letters[0]), 3);
    one_turn();
    one_turn();

    expect_letter(0, 1, 2); /* no call for the one without a function */
    expect_letter(1, 1, 0);
    close_loop();
}

static void cancel_next(void *arg)
{
    struct letter *letter = arg;
    expect_eq(weir_loop_cancel_posted(loop, run_letter, letter + 1), 1);
}

static void soon_letter(void *arg)
{
    run_letter(arg);
}

static void mix_letters(void *arg)
{
    expect_eq(post(run_letter, 0), 0);
    expect_eq(weir_loop_call_soon(loop, soon_letter, &letters[1], NULL), 0);
    expect_eq(post(run_letter, 2), 0);
    expect_eq(weir_loop_call_soon(loop, soon_letter, &letters[3], NULL), 0);
    expect_eq(post(run_letter, 4), 0);
    expect_eq(weir_loop_cancel_posted(loop, run_letter, &letters[2]), 1);
}

UNIT(post_cancel, the_order_of_the_others_with_call_soon_stays)
{
    open_letters(0);
    expect_eq(weir_loop_call_soon_threadsafe(loop, mix_letters, NULL, NULL), 0);
    for (int i = 0; i < 6; i++) {
        one_turn();
    }
    const int expected[] = {0, 1, 3, 4};
    expect_eq(order_count, 4);
    for (int i = 0; i < 4; i++) {
        expect_eq(order[i], expected[i]);
    }
    expect_letter(2, 0, 1);
    close_loop();
}

UNIT(post_cancel, a_post_may_take_back_the_next_one)
{
    open_letters(0);
    expect_eq(post(cancel_next, 0), 0);
    expect_eq(post(run_letter, 1), 0);
    one_turn();
    one_turn();
    expect_letter(1, 0, 1);
    close_loop();
}

UNIT(post_cancel, the_room_is_there_when_its_turn_has_come)
{
    open_letters(2);
    expect_eq(post(run_letter, 0), 0);
    expect_eq(post(run_letter, 1), 0);
    expect_eq(weir_loop_cancel_posted(loop, run_letter, &letters[0]), 1);
    expect_eq(post(run_letter, 2), -ENOBUFS);
    one_turn();
    one_turn();
    expect_eq(post(run_letter, 2), 0);
    close_loop();
    expect_letter(0, 0, 1);
    expect_letter(1, 1, 0);
    expect_letter(2, 0, 1);
}

UNIT(post_cancel, at_the_loops_end_a_post_is_dropped_once)
{
    open_letters(0);
    expect_eq(post(run_letter, 0), 0);
    expect_eq(weir_loop_cancel_posted(loop, run_letter, &letters[0]), 1);
    close_loop();
    expect_letter(0, 0, 1);
}

static void *cancel_elsewhere(void *arg)
{
    expect_eq(weir_loop_cancel_posted(loop, run_letter, arg), 0);
    return NULL;
}

UNIT(post_cancel, another_thread_takes_nothing_back)
{
    pthread_t thread;
    open_letters(0);
    one_turn();
    expect_eq(post(run_letter, 0), 0);
    expect_eq(pthread_create(&thread, NULL, cancel_elsewhere, &letters[0]), 0);
    expect_eq(pthread_join(thread, NULL), 0);
    expect_eq(weir_loop_cancel_posted(loop, NULL, &letters[0]), 0);
    one_turn();
    one_turn();
    expect_letter(0, 1, 0);
    close_loop();
}

static void *post_many(void *arg)
{
    const int thread = *(const int *)arg;
    for (int i = 0; i < POSTS; i++) {
        expect_eq(post(run_letter, thread * POSTS + i), 0);
    }
    return NULL;
}

UNIT(post_cancel, each_post_of_other_threads_runs_or_is_dropped_once)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    size_t taken_back = 0;
    size_t dropped = 0;
    open_letters(0);
    one_turn();
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        expect_eq(pthread_create(&threads[i], NULL, post_many, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS * POSTS; i += 37) {
        taken_back += weir_loop_cancel_posted(loop, run_letter, &letters[i]);
        if (i % 5 == 0) {
            one_turn();
        }
    }
    for (int i = 0; i < THREADS; i++) {
        expect_eq(pthread_join(threads[i], NULL), 0);
    }
    for (int i = 1; i < THREADS * POSTS; i += 37) {
        taken_back += weir_loop_cancel_posted(loop, run_letter, &letters[i]);
    }
    for (int i = 0; i < 2 + THREADS * POSTS / 4096; i++) {
        one_turn();
    }
    for (int i = 0; i < THREADS * POSTS; i++) {
        expect_eq(letters[i].ran_count + letters[i].dropped_count, 1);
        dropped += (size_t)letters[i].dropped_count;
    }
    expect_eq(dropped, taken_back);
    close_loop();
}

UNIT(post_cancel, a_post_that_was_taken_back_is_found_no_more)
{
    open_letters(0);
    expect_ok(weir_loop_call_soon_threadsafe(loop, drop_letter, &letters[0],
                                             drop_letter));
    expect_eq(weir_loop_cancel_posted(loop, drop_letter, &letters[0]), 1);
    expect_eq(weir_loop_cancel_posted(loop, drop_letter, &letters[0]), 0);
    expect_eq(post(run_letter, 1), 0);
    expect_eq(weir_loop_cancel_posted(loop, run_letter, &letters[1]), 1);
    expect_eq(weir_loop_cancel_posted(loop, drop_letter, &letters[1]), 0);
    close_loop();
    expect_letter(0, 0, 1);
    expect_letter(1, 0, 1);
}
