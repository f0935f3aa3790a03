/*
 * A multithreaded program built by a user with ThreadSanitizer, which must
 * report nothing about accesses that weir orders, whether or not weir itself is
 * built with the sanitizer.
 *
 * Threads create and free loops at the same time, and post plain memory to each
 * other's loops, which write to it in turn.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <weir/task.h>

#define THREADS 4
#define LOOPS   5
#define POSTS   200

#define require(cond)                                                          \
    do {                                                                       \
        if (!(cond)) {                                                         \
            printf("not ok 1 - line %d: %s\n", __LINE__, #cond);               \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

static int yield_once(weir_loop *loop, void *arg)
{
    (void)arg;
    return weir_yield(loop);
}

static void *run_loops(void *arg)
{
    for (int i = 0; i < LOOPS; i++) {
        require(weir_run(NULL, yield_once, arg) == 0);
    }
    return NULL;
}

struct letter {
    int number;
    char text[16];
};

static weir_loop *loop;
static int letter_count;

static void take_letter(void *arg)
{
    struct letter *letter = arg;

    require(strcmp(letter->text, "a letter") == 0);
    letter->number++;
    free(letter);
    letter_count++;
    if (letter_count == THREADS * POSTS) {
        weir_loop_stop(loop);
    }
}

static void *post_letters(void *arg)
{
    weir_mailbox *mailbox = arg;

    for (int i = 0; i < POSTS; i++) {
        struct letter *letter = malloc(sizeof(*letter));
        require(letter);
        letter->number = i;
        strcpy(letter->text, "a letter");
        require(weir_mailbox_call_soon(mailbox, take_letter, letter, NULL) ==
                0);
    }
    weir_mailbox_unref(mailbox);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];

    printf("1..1\n");
    for (int i = 0; i < THREADS; i++) {
        require(pthread_create(&threads[i], NULL, run_loops, NULL) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        require(pthread_join(threads[i], NULL) == 0);
    }

    require(weir_loop_new(NULL, &loop) == 0);
    for (int i = 0; i < THREADS; i++) {
        require(pthread_create(&threads[i], NULL, post_letters,
                               weir_loop_get_mailbox(loop)) == 0);
    }
    require(weir_loop_run(loop) == 0);
    for (int i = 0; i < THREADS; i++) {
        require(pthread_join(threads[i], NULL) == 0);
    }
    require(weir_loop_free(loop) == 0);
    printf("ok 1 - threads post and make loops\n");
    return 0;
}
