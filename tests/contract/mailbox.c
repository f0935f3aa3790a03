/*
 * Other threads and processes: the mailbox, and errors for those that use a
 * loop of another thread or process.
 *
 * Real threads post. The forked child leaves with _exit(), so that nothing of
 * the test runs in it.
 */
#include "tests/contract/asleep.h"
#include "tests/contract/maker.h"

#include <pthread.h>
#include <sys/wait.h>
#include <weir/connect.h>
#include <weir/task.h>

enum { THREADS = 4, POSTS = 5000 };

struct post {
    struct poster *from;
    int number;
};

struct poster {
    weir_loop *loop;
    weir_mailbox *mailbox; /* NULL means through the loop */
    pid_t waiting;         /* late posts: the thread to be woken */
    pthread_t thread;
    struct post posts[POSTS];
    int next;
    int err;
};

static int arrived;

static void arrive(void *arg)
{
    struct post *post = (struct post *)arg;
    if (post->from->next == post->number) {
        post->from->next++;
    }
    arrived++;
}

static void *post_all(void *arg)
{
    struct poster *poster = (struct poster *)arg;
    for (int i = 0; i < POSTS && poster->err == 0; i++) {
        struct post *post = &poster->posts[i];
        post->from = poster;
        post->number = i;
        poster->err =
            poster->mailbox
                ? weir_mailbox_call_soon(poster->mailbox, arrive, post, NULL)
                : weir_loop_call_soon_threadsafe(poster->loop, arrive, post,
                                                 NULL);
    }
    return NULL;
}

MAKER(mailbox, posts_of_many_threads_arrive_once_and_in_order, m)
{
    static struct poster posters[THREADS];
    weir_mailbox *mailbox = weir_loop_get_mailbox(m->loop);

    for (int i = 0; i < THREADS; i++) {
        posters[i].loop = m->loop;
        posters[i].mailbox = i % 2 ? mailbox : NULL;
        expect_ok(
            pthread_create(&posters[i].thread, NULL, post_all, &posters[i]));
    }
    RUN_UNTIL(m->loop, arrived == THREADS * POSTS);
    for (int i = 0; i < THREADS; i++) {
        expect_eq(pthread_join(posters[i].thread, NULL), 0);
        expect_eq(posters[i].err, 0);
        expect_eq(posters[i].next, POSTS, "in order of posting");
    }
    maker_run_for(m, 5 * MS);

    expect_eq(arrived, THREADS * POSTS);
    weir_mailbox_unref(mailbox);
}

static void count(void *arg)
{
    ++*(int *)arg;
}

static void *post_later(void *arg)
{
    struct poster *poster = (struct poster *)arg;
    const bool is_asleep = wait_until_asleep(poster->waiting);
    poster->err =
        weir_mailbox_call_soon(poster->mailbox, count, &poster->next, NULL);
    return is_asleep ? NULL : arg;
}

static const struct poster *late;

UNIT(mailbox, a_post_wakes_a_loop_that_waits)
{
    struct maker m;
    struct poster *poster = calloc(1, sizeof(*poster));
    void *was_early;
    late = poster;
    poster->waiting = gettid();
    maker_open(&m);
    poster->mailbox = weir_loop_get_mailbox(m.loop);
    maker_run_for(&m, 1 * MS);
    expect_eq(pthread_create(&poster->thread, NULL, post_later, poster), 0);

    RUN_UNTIL(m.loop,
              late->next > 0); /* fails if only the time limit wakes it */
    expect_eq(pthread_join(poster->thread, &was_early), 0);
    cr_assert_null(was_early);

    expect_leq(maker_count_turns(&m, 50 * MS), 5,
               "R64: the eventfd does not spin");
    expect_eq(poster->next, 1);
    weir_mailbox_unref(poster->mailbox);
    maker_close(&m);
    free(poster);
}

static void post_again(void *arg)
{
    struct poster *poster = (struct poster *)arg;
    poster->err = weir_loop_call_soon_threadsafe(poster->loop, count,
                                                 &poster->next, NULL);
}

MAKER(mailbox, a_post_from_inside_the_loop_is_not_called_at_once, m)
{
    struct poster *poster = calloc(1, sizeof(*poster));
    poster->loop = m->loop;
    poster->err = 1;

    expect_ok(
        weir_loop_call_soon_threadsafe(m->loop, post_again, poster, NULL));
    expect_eq(poster->err, 1);
    maker_run_for(m, 100 * MS);

    expect_eq(poster->err, 0);
    expect_eq(poster->next, 1);
    maker_close(m);
    free(poster);
}

static struct {
    weir_loop *loop;
    weir_mailbox *mailbox;
    struct weir_handle handle; /* of the call that a post cancels */
    char order[16];
    size_t count;
} own;

static void *own_name(const char *name)
{
    return (void *)(uintptr_t)name;
}

static void own_note(void *arg)
{
    own.order[own.count++] = *(const char *)arg;
}

static int own_task(weir_loop *loop, void *arg)
{
    own_note(arg);
    return 0;
}

static void own_soon(const char *name)
{
    expect_ok(
        weir_loop_call_soon(own.loop, own_note, own_name(name), &own.handle));
}

static void own_post(const char *name)
{
    expect_ok(weir_loop_call_soon_threadsafe(own.loop, own_note, own_name(name),
                                             NULL));
}

static void own_call_all(void *arg)
{
    own_post("a");
    own_soon("b");
    expect_ok(
        weir_mailbox_call_soon(own.mailbox, own_note, own_name("c"), NULL));
    own_soon("d");
    own_soon("e");
    own_post("f");
}

static void own_open(struct maker *m)
{
    memset(&own, 0, sizeof(own));
    own.loop = m->loop;
    own.mailbox = weir_loop_get_mailbox(m->loop);
}

/* asyncio's test_call_soon_threadsafe_same_thread. */
MAKER(mailbox, posts_of_the_own_thread_run_in_one_order_with_call_soon, m)
{
    own_open(m);
    own_call_all(NULL); /* before the first run */
    RUN_UNTIL(m->loop, own.count == 6);
    expect_str_eq(own.order, "abcdef");

    memset(own.order, 0, sizeof(own.order));
    own.count = 0;
    expect_eq(weir_loop_call_soon(m->loop, own_call_all, NULL, NULL), 0);
    RUN_UNTIL(m->loop, own.count == 6);
    expect_str_eq(own.order, "abcdef");
    weir_mailbox_unref(own.mailbox);
}

static void own_cancel(void *arg)
{
    cr_assert(weir_handle_cancel(own.loop, own.handle));
    own_soon("n"); /* takes the entry of the cancelled one */
}

MAKER(mailbox, a_post_of_the_own_thread_may_cancel_the_call_soon_after_it, m)
{
    own_open(m);
    expect_ok(weir_loop_call_soon_threadsafe(m->loop, own_cancel, NULL, NULL));
    own_soon("x");
    maker_run_for(m, 5 * MS);
    expect_str_eq(own.order, "n");
    weir_mailbox_unref(own.mailbox);
}

static void own_call_more(void *arg)
{
    own_soon("b");
}

MAKER(mailbox, a_task_of_the_own_thread_is_made_in_the_order_of_the_calls, m)
{
    own_open(m);
    expect_ok(
        weir_task_spawn_threadsafe(m->loop, own_task, own_name("a"), NULL));
    expect_eq(weir_loop_call_soon(m->loop, own_call_more, NULL, NULL), 0);
    maker_run_for(m, 5 * MS);
    expect_str_eq(own.order, "ab", "it is ready before what comes after it");
    weir_mailbox_unref(own.mailbox);
}

MAKER(mailbox, posting_after_the_end_of_the_loop_is_an_error, m)
{
    int called = 0;
    weir_mailbox *mailbox = weir_loop_get_mailbox(m->loop);
    expect_eq(weir_mailbox_ref(mailbox), mailbox);
    expect_eq(weir_mailbox_call_soon(mailbox, NULL, NULL, NULL), -EINVAL);
    expect_eq(weir_loop_call_soon_threadsafe(m->loop, NULL, NULL, NULL),
              -EINVAL);
    expect_eq(weir_mailbox_call_soon(mailbox, count, &called, NULL), 0);

    maker_close(m);

    expect_eq(weir_mailbox_call_soon(mailbox, count, &called, NULL),
              -ESHUTDOWN);
    weir_mailbox_unref(mailbox);
    expect_eq(weir_mailbox_call_soon(mailbox, count, &called, NULL),
              -ESHUTDOWN);
    weir_mailbox_unref(mailbox);
    weir_mailbox_unref(NULL);
    expect_eq(called, 0, "what was pending is dropped");
}

static void expect_refusals(struct maker *m)
{
    const int err = -ECHILD;
    struct weir_handle handle;
    int pair[2];
    weir_server *server = NULL;
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);

    expect_eq(weir_loop_run(m->loop), err);
    expect_eq(weir_loop_call_soon(m->loop, count, m, &handle), err);
    expect_eq(weir_create_server(m->loop, &m->factory, "::1", 0, NULL, NULL,
                                 NULL, &server),
              err);
    expect_eq(weir_create_connection(m->loop, &m->factory, "::1", 1, NULL, NULL,
                                     NULL, NULL),
              err);
    expect_eq(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(pair[0]), NULL,
                                        maker_connect_done, m, NULL),
              err);
    cr_assert(wait_closed(pair[0]), "R63: taken all the same");
    expect_eq(weir_server_start_serving(m->server), err);
    expect_eq(
        weir_server_add_closed_callback(m->server, maker_server_closed, m),
        err);
    expect_eq(weir_server_stop(m->server, 0, NULL, NULL), err);
    expect_eq(weir_server_get_socket(m->server, 0, NULL), err);
    expect_eq(weir_loop_add_signal_handler(m->loop, 10, NULL, NULL), err);
    expect_eq(weir_transport_write(m->t, "x", 1), err);
    expect_eq(weir_transport_close(m->t), err);
    close(pair[1]);
}

UNIT(mailbox, r67__a_forked_child_gets_ECHILD_and_changes_nothing)
{
    struct maker m;
    int status = -1;
    int fd = maker_serve_one(&m);

    pid_t child = fork();
    expect_geq(child, 0);
    if (child == 0) {
        struct maker before = m;
        expect_refusals(&m);
        weir_server_close(m.server);
        weir_server_abort_clients(m.server);
        weir_server_free(m.server);
        int err = weir_loop_call_soon_threadsafe(m.loop, count, &status, NULL);
        /* A failed expectation in the child is not reported, so compare here.
         */
        bool good = err == -ECHILD && weir_loop_run(m.loop) == -ECHILD &&
                    weir_server_stop(m.server, 0, NULL, NULL) == -ECHILD &&
                    weir_transport_close(m.t) == -ECHILD &&
                    weir_loop_free(m.loop) == -ECHILD &&
                    memcmp(&before, &m, sizeof(m)) == 0;
        _exit(good ? 0 : 1);
    }
    expect_eq(end_of(child), 0);
    char byte = 0;
    expect_eq(send(fd, "x", 1, 0), 1);
    maker_run(&m, maker_has_received);
    maker_run_for(&m, 1 * MS);
    expect_eq(peer_read(fd, &byte, 1), 1);
    expect_eq(byte, 'x');
    cr_assert(weir_server_is_serving(m.server));
    close(fd);
    maker_close(&m);
}
