/*
 * asyncio's "Subprocesses" with streams: prints the output of two commands that
 * run at the same time, each in its own task. If one of the tasks fails, the
 * other one is cancelled.
 */
#include <stdio.h>
#include <weir.h>

static int communicate(weir_process *process, const char *command)
{
    struct weir_process_output output = {.size = sizeof(output)};
    int status;
    int err = weir_process_communicate(process, NULL, 0, 0, &output);
    if (err == 0) {
        err = weir_process_get_returncode(process, &status);
    }
    if (err == 0) {
        printf("[%s] exit %d\n%s%s", command, status, output.out, output.err);
    }
    return err;
}

static int show(weir_loop *loop, void *arg)
{
    const struct weir_process_options options = {
        .size = sizeof(options),
        .spawn = {.out = {.kind = WEIR_STDIO_PIPE},
                  .err = {.kind = WEIR_STDIO_PIPE}},
    };
    weir_process *process;
    int err = weir_create_subprocess_shell(loop, arg, &options, &process);
    if (err == 0) {
        err = communicate(process, arg);
        weir_process_free(process); /* ends the process if it still runs */
    }
    return err;
}

static int run(weir_loop *loop, void *arg)
{
    char commands[][20] = {"sleep 0.2; ls /zzz", "echo hello"};
    struct weir_task_group group;
    int err = weir_task_group_begin(loop, &group);
    (void)arg;
    if (err < 0) {
        return err;
    }
    err = weir_task_group_spawn(&group, show, commands[0], NULL, NULL);
    if (err == 0) {
        err = weir_task_group_spawn(&group, show, commands[1], NULL, NULL);
    }
    return weir_task_group_end(&group, err);
}

int main(void)
{
    int err = weir_run(NULL, run, NULL);
    if (err < 0) {
        fprintf(stderr, "subprocess: %s\n", weir_strerror(err));
    }
    return err < 0;
}
