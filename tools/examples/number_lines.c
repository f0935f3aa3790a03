/*
 * Numbers the lines of standard input, like cat -n. Input and output may be a
 * terminal, a pipe, a socket or a file. Their flags are not changed, so the
 * shell's terminal stays in blocking mode; asyncio would change it.
 */
#include <err.h>
#include <stdio.h>
#include <unistd.h>
#include <weir.h>

static int copy_lines(weir_reader *in, weir_writer *out)
{
    struct weir_buf line;
    char number[32];

    for (long count = 1;; count++) {
        ssize_t len = weir_reader_readline_view(in, &line);
        if (len <= 0) {
            return (int)len;
        }
        int digits = snprintf(number, sizeof(number), "%6ld\t", count);
        const struct iovec pieces[] = {
            {number, (size_t)digits},
            {(void *)(uintptr_t)line.data, line.len},
        };
        int error = weir_writer_writelines(out, pieces, 2);
        if (error == 0) {
            error = weir_writer_drain(out);
        }
        if (error < 0) {
            return error;
        }
    }
}

static int number_lines(weir_loop *loop, void *arg)
{
    weir_reader *in;
    weir_writer *source; /* the handle that closes @in */
    weir_writer *out;
    (void)arg;
    int error = weir_open_connection_at(
        loop, weir_endpoint_read_pipe(STDIN_FILENO), NULL, &in, &source);
    if (error < 0) {
        return error;
    }
    error = weir_open_connection_at(
        loop, weir_endpoint_write_pipe(STDOUT_FILENO), NULL, NULL, &out);
    if (error == 0) {
        error = copy_lines(in, out);
        weir_writer_close(out);
        int closed = weir_writer_wait_closed(out); /* waits until all is sent */
        error = error < 0 ? error : closed;
        weir_writer_unref(out);
    }
    weir_writer_unref(source);
    return error;
}

int main(void)
{
    int error = weir_run(NULL, number_lines, NULL);
    if (error < 0) {
        errx(1, "%s", weir_strerror(error));
    }
    return 0;
}
