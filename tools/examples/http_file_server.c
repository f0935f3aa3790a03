/*
 * A server of the files below the current folder over HTTP/1.1, with GET, HEAD,
 * persistent connections and ranges.
 * Usage: http_file_server [PORT], and curl http://127.0.0.1:PORT/FILE
 */
#include "http_send.h"
#include "serve.h"

#define HEAD_BYTES 8192 /* maximum size of a request's head */

/* Serves one request. Returns 1 if the connection stays open, 0 if it ends, or
 * an error. */
static int converse(weir_reader *reader, weir_writer *writer)
{
    static const struct weir_separator end = {"\r\n\r\n", 4};
    struct http_request request;
    struct weir_timeout limit;
    struct weir_buf head;
    weir_timeout_begin(weir_writer_get_loop(writer), &limit, WEIR_SECONDS(30));
    ssize_t len = weir_reader_readuntil_view(reader, &end, 1, &head);
    len = weir_timeout_end(&limit, len);
    if (len <= 0 && len != WEIR_ELIMIT) {
        return len == WEIR_EINCOMPLETE || len == -ETIMEDOUT ? 0 : (int)len;
    }
    int status = len < 0 ? 431 : parse_request(head.data, head.len, &request);
    if (status != 0) {
        return say_head(writer, status, false, 0, "");
    }
    int error = send_answer(writer, &request);
    error = error < 0 ? error : weir_writer_drain(writer);
    return error < 0 ? error : stays(&request);
}

static int talk(void *arg, weir_reader *reader, weir_writer *writer)
{
    int result = 1;
    (void)arg;
    while (result > 0) {
        result = converse(reader, writer);
    }
    if (result < 0) {
        weir_writer_abort(writer); /* a reset shows that the body is
                                    * incomplete */
    }
    return 0;
}

int main(int argc, char **argv)
{
    serve_options.limit_bytes = HEAD_BYTES;
    return serve(talk, argc > 1 ? argv[1] : NULL);
}
