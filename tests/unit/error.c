/*
 * Error codes as text: weir's own, the C library's, and the table used if the C
 * library has no names.
 *
 * The table is compiled here, so that it is tested on every system.
 */
#include "tests/unit.h"

#include <errno.h>
#include <limits.h>
#include <weir/error.h>

/* The other variant of lib/base/error.c, with different names. */
#define WR_ERRNO_TABLE 1
#define weir_strerror  table_strerror
#define weir_err_name  table_err_name
const char *table_strerror(int err);
const char *table_err_name(int err);
#include "lib/base/error.c"
#undef weir_strerror
#undef weir_err_name

UNIT(error, weirs_codes_have_their_names_and_one_line_each)
{
    const int codes[] = {
        WEIR_EIDLE,           WEIR_EREADTIMEOUT,  WEIR_EWRITESTALL,
        WEIR_ECLOSETIMEOUT,   WEIR_ENOBUFFER,     WEIR_ERINGSYSCTL,
        WEIR_ERINGSECCOMP,    WEIR_ERINGABSENT,   WEIR_ERINGOLD,
        WEIR_ERINGMEMLOCK,    WEIR_ERINGLOST,     WEIR_ENOTLITERAL,
        WEIR_EINCOMPLETE,     WEIR_ELIMIT,        WEIR_EPEERCLOSED,
        WEIR_ENOTTASK,        WEIR_ESTACKLIMIT,   WEIR_EBROKEN,
        WEIR_EQUEUESHUTDOWN,  WEIR_EDNSNOTFOUND,  WEIR_EDNSNODATA,
        WEIR_EDNSSERVFAIL,    WEIR_EDNSTIMEOUT,   WEIR_EDNSREFUSED,
        WEIR_EDNSUNREACHABLE, WEIR_EDNSBADANSWER, WEIR_EDNSBADNAME,
        WEIR_ESERVICE,        WEIR_ENONAMES,      WEIR_ETLSFILE,
        WEIR_ETLSNOKEY,       WEIR_ETLSMISMATCH,  WEIR_ETLSPASSWORD,
        WEIR_ETLSCIPHERS,     WEIR_ETLSENGINE,    WEIR_ETLSEXPIRED,
        WEIR_ETLSNOTYET,      WEIR_ETLSISSUER,    WEIR_ETLSSELFSIGNED,
        WEIR_ETLSHOSTNAME,    WEIR_ETLSREVOKED,   WEIR_ETLSNOCRL,
        WEIR_ETLSPURPOSE,     WEIR_ETLSWEAK,      WEIR_ETLSCONSTRAINT,
        WEIR_ETLSPATHLEN,     WEIR_ETLSCRITICAL,  WEIR_ETLSBADCERT,
        WEIR_ETLSNOCERT,      WEIR_ETLSALERT,     WEIR_ETLSPROTOCOL,
        WEIR_ETLSRECORD,      WEIR_ETLSTRUNCATED, WEIR_ETLSTIMEOUT,
        WEIR_ETLSVERSION,     WEIR_ETLSCIPHER,    WEIR_ETLSALPN,
        WEIR_ETLSFLOOD,       WEIR_EOPTIONSIZE,   WEIR_ETLSGROUPS,
        WEIR_ETLSGROUP,       WEIR_EDNSNOSERVICE,
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        const char *text = weir_strerror(codes[i]);
        expect_eq(strncmp(weir_err_name(codes[i]), "WEIR_E", 6), 0);
        cr_assert_str_neq(text, "Unknown error");
        cr_assert_null(strchr(text, '\n'));
        expect_neq(text[strlen(text) - 1], '.');
        expect_str_eq(table_strerror(codes[i]), text);
    }
    expect_str_eq(weir_err_name(WEIR_EIDLE), "WEIR_EIDLE");
    expect_str_eq(weir_err_name(WEIR_ERINGOLD), "WEIR_ERINGOLD");
    expect_str_eq(weir_err_name(WEIR_ENOTLITERAL), "WEIR_ENOTLITERAL");
}

UNIT(error, errors_of_the_ring_say_what_to_change)
{
    cr_assert_not_null(
        strstr(weir_strerror(WEIR_ERINGSYSCTL), "kernel.io_uring_disabled"));
    cr_assert_not_null(
        strstr(weir_strerror(WEIR_ERINGSECCOMP), "io_uring_enter"));
    cr_assert_not_null(strstr(weir_strerror(WEIR_ERINGABSENT), "6.1"));
    cr_assert_not_null(strstr(weir_strerror(WEIR_ERINGOLD), "6.1"));
    cr_assert_not_null(
        strstr(weir_strerror(WEIR_ERINGMEMLOCK), "RLIMIT_MEMLOCK"));
}

UNIT(error, the_kernels_errors_pass_through)
{
    expect_str_eq(weir_err_name(-ECONNRESET), "ECONNRESET");
    expect_str_eq(weir_strerror(-ECONNRESET), "Connection reset by peer");
    expect_str_eq(weir_err_name(-EAGAIN), "EAGAIN");
    expect_str_eq(weir_strerror(-EPIPE), "Broken pipe");
}

UNIT(error, success_has_a_name)
{
    expect_str_eq(weir_strerror(0), "Success");
    expect_str_eq(weir_err_name(0), "OK");
    expect_str_eq(table_strerror(0), "Success");
    expect_str_eq(table_err_name(0), "OK");
}

UNIT(error, every_other_number_is_unknown)
{
    const int numbers[] = {1,     104,   -4000,   -4095,   -4096,
                           -4099, -4109, INT_MAX, INT_MIN, INT_MIN + 1};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        expect_str_eq(weir_strerror(numbers[i]), "Unknown error");
        expect_str_eq(weir_err_name(numbers[i]), "UNKNOWN");
        expect_str_eq(table_strerror(numbers[i]), "Unknown error");
        expect_str_eq(table_err_name(numbers[i]), "UNKNOWN");
    }
}

UNIT(error, the_table_says_what_the_c_library_says)
{
    size_t count = sizeof(error_errnos) / sizeof(error_errnos[0]);
    expect_gt(count, 40);
    for (size_t i = 0; i < count; i++) {
        int err = -error_errnos[i].code;
        expect_str_eq(table_err_name(err), weir_err_name(err));
        expect_str_eq(table_strerror(err), weir_strerror(err));
    }
}

UNIT(error, the_version_is_that_of_the_headers)
{
    char text[64];
    snprintf(text, sizeof(text), "%d.%d.%d", WEIR_VERSION_MAJOR,
             WEIR_VERSION_MINOR, WEIR_VERSION_PATCH);

    expect_str_eq(weir_version(), text);
}
