/*
 * The verdict on a TLS peer: its first cause is kept with its text, and so are
 * certificates; either allocation may fail.
 *
 * The names of alerts are tested here, too.
 */
#include "lib/tls/engine/engine_impl.h"
#include "tests/walk.h"

#include <errno.h>
#include <weir/error.h>

static struct test_allocator allocator;
static struct wr_tls_verdict verdict;

static void verdict_open(void)
{
    allocator_init(&allocator);
    wr_tls_verdict_init(&verdict, &allocator.hooks);
}

static void verdict_close(void)
{
    wr_tls_verdict_fini(&verdict);
    allocator_check(&allocator);
}

UNIT(tls_verdict, the_first_cause_is_kept_with_its_text)
{
    verdict_open();

    wr_tls_verdict_fail(&verdict, WEIR_ETLSEXPIRED, "CN=%s expired", "x");
    wr_tls_verdict_fail(&verdict, WEIR_ETLSHOSTNAME, "not this");

    expect_eq(verdict.err, WEIR_ETLSEXPIRED);
    expect_str_eq(verdict.text, "CN=x expired");
    verdict_close();
}

UNIT(tls_verdict, a_text_is_cut_where_it_is_too_long)
{
    char name[1000];
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    verdict_open();

    wr_tls_verdict_fail(&verdict, WEIR_ETLSISSUER, "%s", name);

    expect_eq(strlen(verdict.text), 255);
    verdict_close();
}

UNIT(tls_verdict, a_cause_without_memory_for_its_text_is_still_a_cause)
{
    verdict_open();
    allocator.fail_at = 1;

    wr_tls_verdict_fail(&verdict, WEIR_ETLSWEAK, "a text");

    expect_eq(verdict.err, WEIR_ETLSWEAK);
    cr_assert_null(verdict.text);
    verdict_close();
}

UNIT(tls_verdict, certificates_are_kept_by_their_place)
{
    verdict_open();

    expect_ok(wr_tls_verdict_keep(&verdict, 1, (const uint8_t *)"issuer", 6));
    expect_eq(verdict.chain_count, 2);
    cr_assert_null(verdict.chain[0].der);
    expect_eq(wr_tls_verdict_keep(&verdict, 0, (const uint8_t *)"old", 3), 0);
    expect_eq(wr_tls_verdict_keep(&verdict, 0, (const uint8_t *)"leaf", 4), 0);
    expect_eq(wr_tls_verdict_keep(&verdict, WR_X509_CHAIN_MAX,
                                  (const uint8_t *)"far", 3),
              -E2BIG);

    expect_eq(verdict.chain_count, 2);
    expect_eq(verdict.chain[0].size, 4);
    expect_eq(memcmp(verdict.chain[0].der, "leaf", 4), 0);
    expect_eq(memcmp(verdict.chain[1].der, "issuer", 6), 0);
    verdict_close();
}

static void keep_without(void *arg)
{
    verdict_open();
    walk_begin(&allocator);
    const int err =
        wr_tls_verdict_keep(&verdict, 0, (const uint8_t *)"leaf", 4);
    expect_eq(err, walk_end(&allocator) ? -ENOMEM : 0);
    expect_eq(verdict.chain_count, err == 0);
    verdict_close();
}

UNIT(tls_verdict, without_memory_no_certificate_is_kept)
{
    expect_eq(walk_allocations(&allocator, keep_without, NULL), 2);
}

UNIT(tls_verdict, alerts_have_names)
{
    cr_assert_not_null(strstr(wr_tls_engine_alert_text(40), "40: handshake_"));
    cr_assert_not_null(strstr(wr_tls_engine_alert_text(255), "not known"));
    expect_str_eq(wr_tls_engine_alert_name(48), "unknown_ca");
    expect_str_eq(wr_tls_engine_alert_name(116), "certificate_required");
    expect_str_eq(wr_tls_engine_alert_name(255), "unassigned");
}
