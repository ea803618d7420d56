/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/multipart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <uv.h>

static void
test_boundary(void **state)
{
    static const struct {
        const char *type, *boundary;
        int result;
    } rows[] = {
        {"multipart/form-data; boundary=----formdata-undici-012345678901",
         "----formdata-undici-012345678901", 0},
        {"multipart/form-data; boundary=0a1b2c3d4e5f", "0a1b2c3d4e5f", 0},
        {"multipart/form-data; boundary=------------------------d74496d66958",
         "------------------------d74496d66958", 0},
        {"Multipart/Form-Data;charset=utf-8;Boundary=\"gc0p4Jq0M2:Yt 08j\"",
         "gc0p4Jq0M2:Yt 08j", 0},
        {"multipart/form-data; boundary=a/b=c", "a/b=c", 0},
        {"multipart/form-data ; x=\"a;boundary=no\\\"\" ; boundary=yes ;",
         "yes", 0},
        {NULL, NULL, UV_ENOENT},
        {"", NULL, UV_ENOENT},
        {"application/sdp", NULL, UV_ENOENT},
        {"multipart/mixed; boundary=a", NULL, UV_ENOENT},
        {"multipart/form-data", NULL, UV_EINVAL},
        {"multipart/form-data; boundary=", NULL, UV_EINVAL},
        {"multipart/form-data; boundary=\"\"", NULL, UV_EINVAL},
        {"multipart/form-data; boundary=\"a", NULL, UV_EINVAL},
        {"multipart/form-data; boundary=\"a \"", NULL, UV_EINVAL},
        {"multipart/form-data; boundary=a; boundary=b", NULL, UV_EINVAL},
        {"multipart/form-data; boundary=a*b", NULL, UV_EINVAL},
        {"multipart/form-data boundary=a", NULL, UV_EINVAL},
        {"multipart/form-data; boundary=0123456789012345678901234567890123456"
         "789012345678901234567890123456789",
         "0123456789012345678901234567890123456789012345678901234567890123456"
         "789",
         0},
        {"multipart/form-data; boundary=0123456789012345678901234567890123456"
         "7890123456789012345678901234567890",
         NULL, UV_EINVAL},
    };
    char boundary[MULTIPART_BOUNDARY_BYTES];

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(multipart_boundary(rows[i].type, boundary),
                         rows[i].result);
        if (!rows[i].result)
            assert_string_equal(boundary, rows[i].boundary);
    }
}

static void
expect_part(const struct multipart *m, const char *name, const char *type,
            const char *body)
{
    const struct multipart_part *part = multipart_find(m, name);

    assert_non_null(part);
    assert_string_equal(part->type, type);
    assert_int_equal(part->bytes, strlen(body));
    assert_memory_equal(part->body, body, part->bytes);
}

static int
parse(const char *body, const char *boundary, struct multipart *m)
{
    /* Exactly as large as the text, so that a read beyond it is seen. */
    size_t bytes = strlen(body);
    char *copy = malloc(bytes + (bytes == 0));

    assert_non_null(copy);
    memcpy(copy, body, bytes);
    int result = multipart_parse(copy, bytes, boundary, m);
    for (size_t i = 0; !result && i < m->count; i++)
        if (m->parts[i].bytes)
            m->parts[i].body = body + (m->parts[i].body - copy);
    free(copy);
    return result;
}

/* As undici writes them, and Python's clients. */
static void
test_forms(void **state)
{
    struct multipart m;

    (void) state;
    assert_int_equal(
        parse("------formdata-undici-01\r\n"
              "Content-Disposition: form-data; name=\"sdp\"\r\n"
              "Content-Type: application/sdp\r\n\r\n"
              "v=0\r\no=-\r\n\r\n"
              "------formdata-undici-01\r\n"
              "Content-Disposition: form-data; name=\"session\"\r\n"
              "Content-Type: application/json; charset=UTF-8\r\n\r\n"
              "{\"type\":\"realtime\"}\r\n"
              "------formdata-undici-01--\r\n",
              "----formdata-undici-01", &m),
        0);
    assert_int_equal(m.count, 2);
    expect_part(&m, "sdp", "application/sdp", "v=0\r\no=-\r\n");
    expect_part(&m, "session", "application/json", "{\"type\":\"realtime\"}");
    assert_null(multipart_find(&m, "SDP"));
    /* Preamble, epilogue, padding, a file's name, no type, no line break at
     * the end. */
    assert_int_equal(
        parse("one\r\n--not\r\n--b \t\r\n"
              "content-disposition:form-data;filename=\"a;name=x\"; name=a\r\n"
              "X-Other: 1\r\n\r\n"
              "--b2\r\n--bb\r\n\r\n--b\r\n"
              "Content-Disposition: form-data; name=\"q\\\"\"\r\n"
              "Content-Transfer-Encoding: binary\r\n\r\n"
              "\r\n--b-- ignored? no",
              "b", &m),
        UV_EINVAL);
    assert_int_equal(
        parse("one\r\n--not\r\n--b \t\r\n"
              "content-disposition:form-data;filename=\"a;name=x\"; name=a\r\n"
              "X-Other: 1\r\n\r\n"
              "--b2\r\n--bb\r\n\r\n--b\r\n"
              "Content-Disposition: form-data; name=\"q\\\"\"\r\n"
              "Content-Transfer-Encoding: binary\r\n\r\n"
              "\r\n--b--\r\nepilogue\r\n--b\r\n",
              "b", &m),
        0);
    assert_int_equal(m.count, 2);
    expect_part(&m, "a", "", "--b2\r\n--bb\r\n");
    expect_part(&m, "q\"", "", "");
    assert_int_equal(parse("--b--", "b", &m), 0);
    assert_int_equal(m.count, 0);
}

#define PART(name)                                                             \
    "--b\r\nContent-Disposition: form-data; name=" name "\r\n\r\n"

static void
test_malformed(void **state)
{
    static const char *const bodies[] = {
        "",
        "--",
        "--b",
        "--b\r\n",
        "--b\n",
        "v=0\r\n",
        PART("a") "x",
        PART("a") "x\r\n--b",
        PART("a") "x\n--b--\r\n",
        PART("a") "x\r\n--b-\r\n",
        PART("a") "x\r\n" PART("a") "y\r\n--b--\r\n",
        PART("\"\"") "x\r\n--b--\r\n",
        PART("\"a") "x\r\n--b--\r\n",
        PART("a; name=b") "x\r\n--b--\r\n",
        "--b\r\n\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Disposition: file; name=a\r\n\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Disposition form-data\r\n\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Disposition: form-data; name=a\r\n"
        "Content-Disposition: form-data; name=b\r\n\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Disposition: form-data; name=a\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Disposition: form-data; name=a\r\n"
        "Content-Type: text\r\n\r\nx\r\n--b--\r\n",
    };
    struct multipart m;

    (void) state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        assert_int_equal(parse(bodies[i], "b", &m), UV_EINVAL);
}

static void
test_caps(void **state)
{
    static char text[3 * MULTIPART_HEADER_BYTES];
    struct multipart m;
    size_t used = 0;

    (void) state;
    for (unsigned i = 0; i <= MULTIPART_PARTS_MAX; i++)
        used += (size_t) snprintf(text + used, sizeof(text) - used,
                                  "--b\r\nContent-Disposition: form-data; "
                                  "name=n%u\r\n\r\n\r\n",
                                  i);
    snprintf(text + used, sizeof(text) - used, "--b--");
    assert_int_equal(parse(text, "b", &m), UV_E2BIG);
    used = (size_t) snprintf(text, sizeof(text), "--b\r\nX-Long: ");
    memset(text + used, 'x', MULTIPART_HEADER_BYTES);
    used += MULTIPART_HEADER_BYTES;
    snprintf(text + used, sizeof(text) - used,
             "\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--b--");
    assert_int_equal(parse(text, "b", &m), UV_E2BIG);
    snprintf(text, sizeof(text), PART("%080d") "\r\n--b--", 1);
    assert_int_equal(parse(text, "b", &m), UV_E2BIG);
}

/* What we write we read. */
static void
test_write(void **state)
{
    const struct multipart_part sdp = {.name = "sdp",
                                       .type = "application/sdp",
                                       .body = "v=0\r\n",
                                       .bytes = 5};
    const struct multipart_part bare = {.name = "x", .body = ""};
    struct multipart m;
    struct buffer out;

    (void) state;
    buffer_init(&out, 1024);
    assert_int_equal(multipart_append(&out, "B", &sdp), 0);
    assert_int_equal(multipart_append(&out, "B", &bare), 0);
    assert_int_equal(multipart_end(&out, "B"), 0);
    assert_int_equal(multipart_parse((char *) out.data, out.bytes, "B", &m), 0);
    expect_part(&m, "sdp", "application/sdp", "v=0\r\n");
    expect_part(&m, "x", "", "");
    buffer_deinit(&out);
    buffer_init(&out, 40);
    assert_int_equal(multipart_append(&out, "B", &sdp), UV_ENOBUFS);
    assert_int_equal(out.bytes, 0);
    buffer_deinit(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boundary),  cmocka_unit_test(test_forms),
        cmocka_unit_test(test_malformed), cmocka_unit_test(test_caps),
        cmocka_unit_test(test_write),
    };

    return cmocka_run_group_tests_name("multipart", tests, NULL, NULL);
}
