/*
 * Parses dates as two-digit fields, one by one. Days are counted in the
 * Gregorian calendar. A day that does not exist (February 30) makes the date
 * malformed.
 */
#include "date.h"

#include "uring/check.h"

static bool date_take_digits(struct wr_bytes *text, int64_t *ret)
{
    struct wr_bytes digits;

    wr_assert(text->data != NULL);
    if (!wr_bytes_take(text, 2, &digits) || digits.data[0] < '0' ||
        digits.data[0] > '9' || digits.data[1] < '0' || digits.data[1] > '9') {
        return false;
    }
    *ret = 10 * (digits.data[0] - '0') + (digits.data[1] - '0');
    return true;
}

static int64_t date_count_days(int64_t year, int64_t month, int64_t day)
{
    wr_assert(year >= 0 && month >= 1 && day >= 1);
    /* Years start in March here, so that February 29 is the last day. */
    const int64_t months = month > 2 ? month - 3 : month + 9;
    const int64_t years = month > 2 ? year : year - 1;
    const int64_t leaps =
        years < 0 ? -1 : years / 4 - years / 100 + years / 400;
    return 365 * years + leaps + (153 * months + 2) / 5 + day - 1 - 719468;
}

static int64_t date_days_of(int64_t year, int64_t month)
{
    const bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    wr_assert(month >= 1 && month <= 12);
    return month == 2 ? 28 + is_leap
           : month == 4 || month == 6 || month == 9 || month == 11 ? 30
                                                                   : 31;
}

bool wr_x509_date_sees(const struct wr_bytes *from)
{
    return wr_der_sees(from, WR_DER_UTC_TIME) || wr_der_sees(from, WR_DER_TIME);
}

bool wr_x509_date_take(struct wr_bytes *from, int64_t *ret)
{
    struct wr_bytes text;
    int64_t century = 0;
    int64_t part[6]; /* year of the century, month, day, hour, minute, second */
    uint8_t tag = 0;

    wr_assert(from->data != NULL);
    if (!wr_x509_date_sees(from) || !wr_der_take_any(from, &tag, &text) ||
        (tag == WR_DER_TIME && !date_take_digits(&text, &century))) {
        return false;
    }
    for (size_t i = 0; i < 6; i++) {
        if (!date_take_digits(&text, &part[i])) {
            return false;
        }
    }
    if (tag == WR_DER_UTC_TIME) {
        century = part[0] >= 50 ? 19 : 20;
    }
    const int64_t year = 100 * century + part[0];
    if (text.size != 1 || text.data[0] != 'Z' || part[1] < 1 || part[1] > 12 ||
        part[2] < 1 || part[2] > date_days_of(year, part[1]) || part[3] > 23 ||
        part[4] > 59 || part[5] > 59) {
        return false;
    }
    *ret = 86400 * date_count_days(year, part[1], part[2]) + 3600 * part[3] +
           60 * part[4] + part[5];
    return true;
}
