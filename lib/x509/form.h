/*
 * The forms of extensions (RFC 5280, 4.2).
 *
 * Pure: what stands in them is checked, to the last byte, and not used. So an
 * extension that says nothing to weir cannot make a library below refuse a
 * certificate, or take it.
 */
#ifndef WEIR_LIB_X509_FORM_H
#define WEIR_LIB_X509_FORM_H

#include "der.h"

/* Takes one element off the front of a list. */
typedef bool wr_x509_form_fn(struct wr_bytes *list);

/* True if @value is a SEQUENCE of one element or more, and nothing else. */
WEIR_MUST_USE bool wr_x509_form_is_list(struct wr_bytes value,
                                        wr_x509_form_fn *element);

/* The same for the content of the SEQUENCE. */
WEIR_MUST_USE bool wr_x509_form_has_only(struct wr_bytes list,
                                         wr_x509_form_fn *element);

/* Takes a GeneralName; its address is that of a host. */
WEIR_MUST_USE bool wr_x509_form_take_name(struct wr_bytes *list);

/* Takes a GeneralName that is the base of a constraint: an address has a mask
 * behind it, which is the front of the address. */
WEIR_MUST_USE bool wr_x509_form_take_base(struct wr_bytes *list,
                                          uint8_t *ret_tag);

/* False if an extension is malformed whose content weir does not use. @number
 * as in wr_x509_extension. */
WEIR_MUST_USE bool wr_x509_form_is_good(uint32_t number, struct wr_bytes value);

#endif
