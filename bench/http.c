/*
 * Requests are read line by line; a line received in parts is joined.
 *
 * The answer is made once. Its head is as long as the head that nginx writes,
 * and its date is constant.
 */
#include "bench/http.h"

#include "bench/bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads the first line of a request. Returns 0, or -1 for an error. */
static int take_first_line(struct http *h, const char *line, size_t len)
{
    static const char method[] = "GET ";
    static const char version[] = " HTTP/1.1";
    const size_t beside_len = sizeof(method) + sizeof(version) - 2;
    const size_t path_len = len - beside_len;

    if (len <= beside_len || path_len >= HTTP_PATH_MAX ||
        memcmp(line, method, sizeof(method) - 1) != 0 ||
        memcmp(line + len - (sizeof(version) - 1), version,
               sizeof(version) - 1) != 0) {
        return -1;
    }
    memcpy(h->path, line + sizeof(method) - 1, path_len);
    h->path[path_len] = '\0';
    h->in_headers = true;
    return 0;
}

/* Reads a line. Returns 1 at the end of a request, 0, or -1 for an error. */
static int take_line(struct http *h, const char *line, size_t len)
{
    if (len > 0 && line[len - 1] == '\r') {
        len--;
    }
    if (h->in_headers) {
        h->in_headers = len > 0;
        return len == 0 ? 1 : memchr(line, ':', len) == NULL ? -1 : 0;
    }
    return take_first_line(h, line, len);
}

static bool hold(struct http *h, const char *data, size_t len)
{
    if (len > HTTP_LINE_MAX - h->held_len) {
        return false;
    }
    memcpy(h->held + h->held_len, data, len);
    h->held_len += (uint32_t)len;
    return true;
}

/* Takes the line that begins at @data, or holds its beginning. */
static int take_next(struct http *h, const char *data, size_t len,
                     size_t *ret_taken)
{
    const char *end = memchr(data, '\n', len);
    size_t line_len = end == NULL ? len : (size_t)(end - data);
    int ret = 0;

    *ret_taken = end == NULL ? len : line_len + 1;
    if (end != NULL && h->held_len == 0) {
        return take_line(h, data, line_len);
    }
    if (!hold(h, data, line_len)) {
        return -1;
    }
    if (end != NULL) {
        ret = take_line(h, h->held, h->held_len);
        h->held_len = 0;
    }
    return ret;
}

int http_take_one(struct http *h, const void *data, size_t len,
                  size_t *ret_taken)
{
    const char *at = data;
    size_t done = 0;
    int ret = 0;

    while (ret == 0 && done < len) {
        size_t taken = 0;

        ret = take_next(h, at + done, len - done, &taken);
        done += taken;
    }
    *ret_taken = done;
    return ret;
}

int http_take(struct http *h, const void *data, size_t len)
{
    const char *at = data;
    size_t taken = 0;
    int count = 0;

    for (size_t left = len; left > 0; left -= taken) {
        int ret = http_take_one(h, at, left, &taken);

        if (ret < 0) {
            return -1;
        }
        count += ret;
        at += taken;
    }
    return count;
}

size_t http_head(char ret[HTTP_HEAD_MAX], uint64_t length)
{
    int len = snprintf(ret, HTTP_HEAD_MAX,
                       "HTTP/1.1 200 OK\r\n"
                       "Server: bench/0.0.0\r\n"
                       "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                       "Content-Type: text/plain\r\n"
                       "Content-Length: %llu\r\n"
                       "Connection: keep-alive\r\n\r\n",
                       (unsigned long long)length);

    return (size_t)len;
}

const uint8_t *http_answer(const char *path, size_t *ret_size)
{
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    uint8_t *answer = NULL;
    char head[HTTP_HEAD_MAX];
    size_t head_len = 0;

    if (fd < 0 || fstat(fd, &status) < 0) {
        bench_die("--file");
    }
    head_len = http_head(head, (uint64_t)status.st_size);
    answer = bench_malloc(head_len + (size_t)status.st_size);
    memcpy(answer, head, head_len);
    if (read(fd, answer + head_len, (size_t)status.st_size) !=
        (ssize_t)status.st_size) {
        bench_die(path);
    }
    close(fd);
    *ret_size = head_len + (size_t)status.st_size;
    return answer;
}
