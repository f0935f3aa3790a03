/*
 * Health checks that log in to a database server, as far as possible without a
 * password, and leave as its protocol requires.
 *
 * PostgreSQL (protocol 3.0): a request for authentication after the start-up
 * packet is good, because the server works then. A user that is admitted
 * without a password has a session when the server is ready for a query;
 * Terminate ends it. The end of the stream at a request for a password is
 * normal for the server, and leaves no line in its log.
 *
 * MySQL and MariaDB (protocol 10): the check answers the greeting with a login
 * without a password. A server that has another method for the user requests it
 * (AuthSwitchRequest), and gets the empty password in that method's form.
 */
#include "kind.h"

#include <string.h>

#define POSTGRES_HEAD 5u /* a type, and the length without it */

static uint32_t login_get_be32(const uint8_t *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 |
           (uint32_t)data[2] << 8 | data[3];
}

static void login_put_be32(uint8_t *ret, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        ret[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

static size_t login_postgres_make_login(const struct weir_upstream_check *plan,
                                        uint8_t *ret)
{
    static const char before[] = "user";
    static const char after[] = "database\0postgres\0application_name\0weir\0";
    const size_t user_size = strlen(plan->user) + 1;
    const size_t size = 8 + sizeof(before) + user_size + sizeof(after);

    wr_assert(user_size > 1);
    if (ret) {
        login_put_be32(ret, (uint32_t)size);
        login_put_be32(ret + 4, 3u << 16);
        memcpy(ret + 8, before, sizeof(before));
        memcpy(ret + 8 + sizeof(before), plan->user, user_size);
        memcpy(ret + 8 + sizeof(before) + user_size, after, sizeof(after));
    }
    return size;
}

/* Adds SQLSTATE and text of an error message to the reason. */
static void login_postgres_note_error(struct wr_check_talk *talk,
                                      const uint8_t *message, size_t size)
{
    static const char wanted[] = "CM"; /* SQLSTATE and message */

    wr_assert(size >= POSTGRES_HEAD);
    for (size_t i = 0; i < sizeof(wanted) - 1; i++) {
        const uint8_t *at = message + POSTGRES_HEAD;
        const uint8_t *end = message + size;
        while (at < end && *at != '\0' && *at != (uint8_t)wanted[i]) {
            const uint8_t *last = memchr(at, '\0', (size_t)(end - at));
            at = last ? last + 1 : end;
        }
        if (at < end && *at != '\0') {
            wr_dialogue_note_reason(talk, ": ", talk->reason[0] ? 2 : 0);
            wr_dialogue_note_reason(talk, at + 1, (size_t)(end - at) - 1);
        }
    }
}

static enum wr_verdict login_postgres_judge_one(struct wr_check_talk *talk,
                                                const uint8_t *message,
                                                size_t size)
{
    wr_assert(size >= POSTGRES_HEAD);
    wr_assert(talk->step <= 1);
    switch (message[0]) {
    case 'R': /* an authentication request */
        if (talk->step > 0 || size < POSTGRES_HEAD + 4) {
            return WR_VERDICT_BAD;
        }
        talk->step = 1;
        return login_get_be32(message + POSTGRES_HEAD) == 0 ? WR_VERDICT_MORE
                                                            : WR_VERDICT_GOOD;
    case 'Z': /* ready for a query */
        talk->is_in = talk->step > 0;
        return talk->is_in ? WR_VERDICT_GOOD : WR_VERDICT_BAD;
    case 'N': /* a notice */
    case 'v': /* the protocol's version */
        return WR_VERDICT_MORE;
    case 'S': /* a parameter */
    case 'K': /* the key for cancelling */
        return talk->step > 0 ? WR_VERDICT_MORE : WR_VERDICT_BAD;
    case 'E': /* an error */
        login_postgres_note_error(talk, message, size);
        return WR_VERDICT_BAD;
    default:
        return WR_VERDICT_BAD;
    }
}

static enum wr_verdict login_postgres_judge(const struct wr_check *check,
                                            struct wr_check_talk *talk,
                                            const uint8_t *answer, size_t len)
{
    enum wr_verdict verdict = WR_VERDICT_MORE;

    wr_assert(talk->used <= len);
    while (verdict == WR_VERDICT_MORE && len - talk->used >= POSTGRES_HEAD) {
        const uint8_t *message = answer + talk->used;
        const uint32_t length = login_get_be32(message + 1);
        if (length < 4 || length >= check->plan.limit_bytes) {
            return WR_VERDICT_BAD;
        }
        if (len - talk->used < 1 + (size_t)length) {
            return WR_VERDICT_MORE;
        }
        talk->used += 1 + (size_t)length;
        verdict = login_postgres_judge_one(talk, message, 1 + (size_t)length);
    }
    return verdict;
}

#define MYSQL_HEAD 4u /* three bytes of length, and a number */

/* CLIENT_LONG_PASSWORD, CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION and
 * CLIENT_PLUGIN_AUTH. */
#define MYSQL_ABILITIES (0x1u | 0x200u | 0x8000u | 0x80000u)

enum mysql_step {
    MYSQL_GREETING,
    MYSQL_LOGIN,
    MYSQL_EMPTY, /* send the empty password as no bytes */
    MYSQL_ZERO,  /* send the empty password as a byte 0 */
};

static const char login_mysql_native[] = "mysql_native_password";
static const char login_mysql_caching[] = "caching_sha2_password";
static const char login_mysql_sha256[] = "sha256_password";

static size_t login_mysql_make_login(const struct weir_upstream_check *plan,
                                     uint8_t *ret)
{
    const size_t user_size = strlen(plan->user) + 1;
    const size_t size =
        MYSQL_HEAD + 32 + user_size + 1 + sizeof(login_mysql_native);

    wr_assert(size < UINT16_MAX);
    if (ret) {
        memset(ret, 0, size);
        ret[0] = (uint8_t)(size - MYSQL_HEAD);
        ret[1] = (uint8_t)((size - MYSQL_HEAD) >> 8);
        ret[3] = 1; /* the second packet */
        for (unsigned i = 0; i < 4; i++) {
            ret[MYSQL_HEAD + i] = (uint8_t)(MYSQL_ABILITIES >> (8 * i));
        }
        ret[MYSQL_HEAD + 7] = 1;  /* packets of up to 16 MiB */
        ret[MYSQL_HEAD + 8] = 33; /* utf8 */
        memcpy(ret + MYSQL_HEAD + 32, plan->user, user_size);
        memcpy(ret + MYSQL_HEAD + 32 + user_size + 1, login_mysql_native,
               sizeof(login_mysql_native));
    }
    return size;
}

static enum wr_verdict login_mysql_switch(struct wr_check_talk *talk,
                                          const uint8_t *name, size_t size)
{
    if (talk->step != MYSQL_LOGIN || !memchr(name, '\0', size)) {
        return WR_VERDICT_BAD;
    }
    const char *method = (const char *)name;
    if (strcmp(method, login_mysql_native) == 0) {
        talk->step = MYSQL_EMPTY;
    } else if (strcmp(method, login_mysql_caching) == 0 ||
               strcmp(method, login_mysql_sha256) == 0) {
        talk->step = MYSQL_ZERO;
    } else {
        return WR_VERDICT_BAD;
    }
    return WR_VERDICT_SAY;
}

static enum wr_verdict login_mysql_judge_one(struct wr_check_talk *talk,
                                             const uint8_t *packet, size_t size)
{
    wr_assert(size > 0);
    wr_assert(!talk->is_in);
    if (packet[0] == 0xff && size >= 3) {
        const size_t state = size > 3 && packet[3] == '#' ? 6 : 0;
        talk->status = packet[1] | (uint32_t)packet[2] << 8;
        if (size > 3 + state) {
            wr_dialogue_note_reason(talk, packet + 3 + state, size - 3 - state);
        }
        return WR_VERDICT_BAD;
    }
    if (talk->step == MYSQL_GREETING) {
        talk->step = MYSQL_LOGIN;
        return packet[0] == 10 ? WR_VERDICT_SAY : WR_VERDICT_BAD;
    }
    if (packet[0] == 0xfe) {
        return login_mysql_switch(talk, packet + 1, size - 1);
    }
    talk->is_in = packet[0] == 0;
    return talk->is_in ? WR_VERDICT_GOOD : WR_VERDICT_BAD;
}

static enum wr_verdict login_mysql_judge(const struct wr_check *check,
                                         struct wr_check_talk *talk,
                                         const uint8_t *answer, size_t len)
{
    const uint8_t *packet = answer + talk->used;
    const size_t left = len - talk->used;

    wr_assert(talk->used <= len);
    if (left < MYSQL_HEAD) {
        return WR_VERDICT_MORE;
    }
    const size_t size =
        packet[0] | (size_t)packet[1] << 8 | (size_t)packet[2] << 16;
    if (size == 0 || size > check->plan.limit_bytes) {
        return WR_VERDICT_BAD;
    }
    if (left < MYSQL_HEAD + size) {
        return WR_VERDICT_MORE;
    }
    talk->used += MYSQL_HEAD + size;
    return login_mysql_judge_one(talk, packet + MYSQL_HEAD, size);
}

static size_t login_ask(const struct wr_check *check,
                        const struct wr_check_talk *talk, const char *authority,
                        struct wr_check_piece ret[WR_CHECK_PIECES])
{
    (void)authority;
    wr_assert(check->login != NULL);
    wr_assert(check->login_size > 0);
    ret[0] = (struct wr_check_piece){check->login, check->login_size};
    (void)talk;
    return 1;
}

static size_t login_mysql_ask(const struct wr_check *check,
                              const struct wr_check_talk *talk,
                              const char *authority,
                              struct wr_check_piece ret[WR_CHECK_PIECES])
{
    switch ((enum mysql_step)talk->step) {
    case MYSQL_LOGIN:
        return login_ask(check, talk, authority, ret);
    case MYSQL_EMPTY:
        ret[0] = (struct wr_check_piece){"\0\0\0\3", 4};
        return 1;
    case MYSQL_ZERO:
        ret[0] = (struct wr_check_piece){"\1\0\0\3\0", 5};
        return 1;
    case MYSQL_GREETING:
        break;
    }
    return 0;
}

const struct wr_check_kind wr_check_postgres = {.name = "postgres",
                                                .is_bare = true,
                                                .needs_user = true,
                                                .least_limit = 64,
                                                .make_login =
                                                    login_postgres_make_login,
                                                .ask = login_ask,
                                                .judge = login_postgres_judge,
                                                .bye = {"X\0\0\0\4", 5}};

const struct wr_check_kind wr_check_mysql = {.name = "mysql",
                                             .is_bare = true,
                                             .needs_user = true,
                                             .least_limit = 64,
                                             .make_login =
                                                 login_mysql_make_login,
                                             .ask = login_mysql_ask,
                                             .judge = login_mysql_judge,
                                             .bye = {"\1\0\0\0\1", 5}};
