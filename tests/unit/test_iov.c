/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/iov.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char text[] = "abcdefghij";

/* "abc", "", "defg", "hij" */
static void
parts_make(struct iovec *parts)
{
    parts[0] = (struct iovec){text, 3};
    parts[1] = (struct iovec){text + 3, 0};
    parts[2] = (struct iovec){text + 3, 4};
    parts[3] = (struct iovec){text + 7, 3};
}

static void
parts_read(const struct iovec *parts, unsigned count, char *out)
{
    for (unsigned i = 0; i < count; i++) {
        memcpy(out, parts[i].iov_base, parts[i].iov_len);
        out += parts[i].iov_len;
    }
    *out = '\0';
}

static void
test_advance(void **state)
{
    struct iovec parts[4];
    char got[16];

    (void) state;
    for (size_t bytes = 0; bytes <= 10; bytes++) {
        parts_make(parts);
        iov_advance(parts, 4, bytes);
        parts_read(parts, 4, got);
        assert_string_equal(got, text + bytes);
    }
    iov_advance(parts, 4, 1);
    parts_read(parts, 4, got);
    assert_string_equal(got, "");
}

/* Whatever the size of the slices, they are the whole, and none is empty. */
static void
test_slice(void **state)
{
    (void) state;
    for (size_t size = 1; size <= 12; size++) {
        struct iovec parts[4], to[4];
        char all[16] = "", got[16];
        unsigned used;

        parts_make(parts);
        while ((used = iov_slice(to, parts, 4, size)) > 0) {
            for (unsigned i = 0; i < used; i++) {
                assert_true(to[i].iov_len > 0);
            }
            parts_read(to, used, got);
            assert_true(strlen(got) <= size);
            strcat(all, got);
        }
        assert_string_equal(all, text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_advance),
        cmocka_unit_test(test_slice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
