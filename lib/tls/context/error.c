/*
 * The names of the alerts by which a peer refuses, and the sentences in which
 * an error text has them.
 *
 * The table has all alerts that are registered for TLS. A number that is not
 * among them has a sentence, too, because a peer may send any.
 */
#include "error.h"

#include "uring/check.h"

#include <string.h>

struct error_alert {
    int alert;
    const char *text;
};

static const struct error_alert error_alerts[] = {
    {0, "The peer sent the alert 0: close_notify"},
    {10, "The peer sent the alert 10: unexpected_message"},
    {20, "The peer sent the alert 20: bad_record_mac"},
    {21, "The peer sent the alert 21: decryption_failed"},
    {22, "The peer sent the alert 22: record_overflow"},
    {30, "The peer sent the alert 30: decompression_failure"},
    {40, "The peer sent the alert 40: handshake_failure"},
    {41, "The peer sent the alert 41: no_certificate"},
    {42, "The peer sent the alert 42: bad_certificate"},
    {43, "The peer sent the alert 43: unsupported_certificate"},
    {44, "The peer sent the alert 44: certificate_revoked"},
    {45, "The peer sent the alert 45: certificate_expired"},
    {46, "The peer sent the alert 46: certificate_unknown"},
    {47, "The peer sent the alert 47: illegal_parameter"},
    {48, "The peer sent the alert 48: unknown_ca"},
    {49, "The peer sent the alert 49: access_denied"},
    {50, "The peer sent the alert 50: decode_error"},
    {51, "The peer sent the alert 51: decrypt_error"},
    {60, "The peer sent the alert 60: export_restriction"},
    {70, "The peer sent the alert 70: protocol_version"},
    {71, "The peer sent the alert 71: insufficient_security"},
    {80, "The peer sent the alert 80: internal_error"},
    {86, "The peer sent the alert 86: inappropriate_fallback"},
    {90, "The peer sent the alert 90: user_canceled"},
    {100, "The peer sent the alert 100: no_renegotiation"},
    {109, "The peer sent the alert 109: missing_extension"},
    {110, "The peer sent the alert 110: unsupported_extension"},
    {111, "The peer sent the alert 111: certificate_unobtainable"},
    {112, "The peer sent the alert 112: unrecognized_name"},
    {113, "The peer sent the alert 113: bad_certificate_status_response"},
    {114, "The peer sent the alert 114: bad_certificate_hash_value"},
    {115, "The peer sent the alert 115: unknown_psk_identity"},
    {116, "The peer sent the alert 116: certificate_required"},
    {117, "The peer sent the alert 117: general_error"},
    {120, "The peer sent the alert 120: no_application_protocol"},
    {121, "The peer sent the alert 121: ech_required"},
};

const char *wr_tls_error_alert_text(int alert)
{
    const size_t count = sizeof(error_alerts) / sizeof(*error_alerts);

    wr_assert(alert >= 0);
    for (size_t i = 0; i < count; i++) {
        if (error_alerts[i].alert == alert) {
            return error_alerts[i].text;
        }
    }
    return "The peer sent an alert that is not known here";
}

const char *wr_tls_error_alert_name(int alert)
{
    const char *name = strstr(wr_tls_error_alert_text(alert), ": ");

    return name ? name + 2 : "unassigned";
}
