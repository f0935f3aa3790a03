/*
 * The body is the line of a command (command.h), with its length; a coding of
 * the body is refused. Tokens are compared in a time that does not depend on
 * where they differ.
 */
#include "posting.h"

#include "askers.h"
#include "command.h"
#include "control.h"
#include "tools/common/http_head.h"
#include "tools/common/option.h"

#include "weir/task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

char *posting_read_token(const char *path, char *why)
{
    char text[POSTING_TOKEN_MOST + 3];
    FILE *file = fopen(path, "re");

    if (!file) {
        option_refuse(why, "%.300s: %s", path, strerror(errno));
        return NULL;
    }
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        len--;
    }
    text[len] = '\0';
    bool is_good = len >= POSTING_TOKEN_LEAST && len <= POSTING_TOKEN_MOST;
    for (size_t i = 0; i < len; i++) {
        is_good = is_good && text[i] > ' ' && text[i] < 127;
    }
    if (!is_good) {
        option_refuse(why, "%.300s: a token is a line of %u to %u letters",
                      path, POSTING_TOKEN_LEAST, POSTING_TOKEN_MOST);
        return NULL;
    }
    char *token = strdup(text);
    if (!token) {
        option_refuse(why, "no memory");
    }
    return token;
}

/* ---- the head ---- */

/* The value of a field, without its line's end; NULL: there is none. */
static const char *find_field(const char *head, size_t len, const char *name,
                              size_t *ret_len)
{
    const size_t name_len = strlen(name);
    const char *end = head + len;
    const char *at = memchr(head, '\n', len);

    while (at && (size_t)(end - at) > name_len + 1) {
        const char *line = at + 1;
        const char *next = memchr(line, '\n', (size_t)(end - line));
        if (next && strncasecmp(line, name, name_len) == 0) {
            *ret_len = (size_t)(next - line) - name_len;
            return line + name_len;
        }
        at = next;
    }
    return NULL;
}

bool posting_has_token(const char *head, size_t len, const char *token)
{
    static const char scheme[] = "Bearer ";
    const size_t token_len = strlen(token);
    size_t value_len = 0;
    const char *value = find_field(head, len, "Authorization:", &value_len);
    unsigned char differs = 0;

    while (value && value_len > 0 && *value == ' ') {
        value++;
        value_len--;
    }
    if (value && value_len > 0 && value[value_len - 1] == '\r') {
        value_len--;
    }
    if (!value || value_len != sizeof(scheme) - 1 + token_len ||
        strncasecmp(value, scheme, sizeof(scheme) - 1) != 0) {
        return false;
    }
    for (size_t i = 0; i < token_len; i++) {
        differs |= (unsigned char)value[sizeof(scheme) - 1 + i] ^
                   (unsigned char)token[i];
    }
    return differs == 0;
}

#define NO_LENGTH UINT64_MAX

/* Bytes of the body; NO_LENGTH: the head does not say them. */
static uint64_t length_of(const char *head, size_t len)
{
    const char *fields = memchr(head, '\n', len);
    struct http_head_reader reader;
    size_t at = 0;

    if (!fields) {
        return NO_LENGTH;
    }
    fields++;
    http_head_begin_fields(&reader, 1);
    const int used = http_head_read(&reader, (const uint8_t *)fields,
                                    len - (size_t)(fields - head), &at);
    return used >= 0 && reader.state == HTTP_HEAD_DONE &&
                   reader.head.has_length && !reader.head.has_coding
               ? reader.head.length
               : NO_LENGTH;
}

/* ---- the command ---- */

/* Carries out a line, and returns the line of the status. */
static const char *carry_out(struct worker *worker,
                             const struct posting *posting, const char *line,
                             size_t size, FILE *out)
{
    struct weir_address peer = {.len = 0};
    char text[WEIR_ADDRESS_TEXT_SIZE] = "";
    char who[WEIR_ADDRESS_TEXT_SIZE + 16];

    weir_transport_get_peername(posting->transport, &peer);
    snprintf(who, sizeof(who), "HTTP, %s",
             weir_address_format(&peer, text, sizeof(text)));
    const struct control_sender sender = {who, posting->transport};
    switch (control_do(worker, &sender, line, size, out)) {
    case CONTROL_DONE:
        return "200 OK";
    case CONTROL_WRONG:
        return "400 Bad Request";
    default:
        return "409 Conflict";
    }
}

const char *posting_do(struct worker *worker, const struct posting *posting,
                       FILE *out)
{
    char line[COMMAND_LINE_MAX];
    struct weir_timeout limit;
    const uint64_t length = length_of(posting->head, posting->len);
    size_t size = (size_t)length;

    if (length > COMMAND_LINE_MAX) {
        fprintf(out, "a command is a body with a length of %u at most\n",
                COMMAND_LINE_MAX);
        return length == NO_LENGTH ? "411 Length Required"
                                   : "413 Content Too Large";
    }
    weir_timeout_begin(worker->loop, &limit, REQUEST_NS);
    const ssize_t n = weir_timeout_end(
        &limit, weir_reader_readexactly(posting->reader, line, size));
    if (n < 0 || (size_t)n != size) {
        fputs("the body has not come\n", out);
        return "408 Request Timeout";
    }
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r')) {
        size--;
    }
    return carry_out(worker, posting, line, size, out);
}
