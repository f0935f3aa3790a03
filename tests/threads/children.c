/*
 * A multithreaded program that starts children, built by a user with
 * ThreadSanitizer.
 *
 * After a fork of a multithreaded program the sanitizer allows no new threads,
 * so weir must start children without a fork. Each thread has its own loop,
 * children and jobs. Loops, pipes and other descriptors are closed and opened
 * all the time, so that their numbers are reused.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/executor.h>
#include <weir/file.h>
#include <weir/process.h>
#include <weir/task.h>

#define THREADS  4
#define CHILDREN 5

#define require(cond)                                                          \
    do {                                                                       \
        if (!(cond)) {                                                         \
            printf("not ok 1 - line %d: %s\n", __LINE__, #cond);               \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

static int work(void *arg)
{
    ++*(int *)arg;
    return 0;
}

/* The file is opened by the program and closed by weir; another thread may then
 * reuse its number. */
static void close_file(weir_loop *loop)
{
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    require(fd >= 0);
    require(weir_file_close(loop, fd) == 0);
}

static int start_child(weir_loop *loop, void *arg)
{
    const char *const argv[] = {"/bin/echo", "a child", NULL};
    const struct weir_process_options options = {
        .size = sizeof(options),
        .spawn = {.size = sizeof(options.spawn),
                  .out = {.kind = WEIR_STDIO_PIPE}}};
    char text[16] = "";
    weir_process *process;
    int done = 0;
    int result = 1;

    (void)arg;
    close_file(loop);
    require(weir_create_subprocess_exec(loop, argv, &options, &process) == 0);
    require(weir_reader_readexactly(weir_process_get_stdout(process), text,
                                    8) == 8);
    require(strcmp(text, "a child\n") == 0);
    require(weir_process_wait(process, &result) == 0);
    require(result == 0);
    weir_process_free(process);
    require(weir_run_in_executor(loop, work, &done, NULL, &result) == 0);
    require(done == 1);
    return 0;
}

static void *run_children(void *arg)
{
    for (int i = 0; i < CHILDREN; i++) {
        require(weir_run(NULL, start_child, arg) == 0);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];

    printf("1..1\n");
    (void)run_children(NULL); /* also in a process with one thread */
    for (int i = 0; i < THREADS; i++) {
        require(pthread_create(&threads[i], NULL, run_children, NULL) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        require(pthread_join(threads[i], NULL) == 0);
    }
    printf("ok 1 - threads start children\n");
    return 0;
}
