/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_voice_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <uv.h>

static int16_t
sample_of(size_t at)
{
    return (int16_t) (at * 31 % 65536 - 32768);
}

static ssize_t
write_samples(struct session_voice_queue *q, size_t from, size_t samples)
{
    int16_t *pcm = malloc(samples * 2 + 2);
    char *text = malloc(pcm_text_chars_max(samples) + 4);
    struct pcm_text_writer writer = {0};
    struct pcm_text_reader reader = {0};
    size_t chars;
    ssize_t written;

    for (size_t i = 0; i < samples; i++)
        pcm[i] = sample_of(from + i);
    chars = pcm_text_push(&writer, text, pcm, samples);
    chars += pcm_text_end(&writer, text + chars);
    written = session_voice_queue_write(q, &reader, text, chars);
    free(text);
    free(pcm);
    return written;
}

/* In and out by all sorts of lengths: the same samples in the same order. */
static void
test_samples(void **state)
{
    struct session_voice_queue q = {0};
    int16_t scratch[OPUS_VOICE_FRAME_MAX];
    size_t in = 0, out = 0, random = 7;

    (void) state;
    for (int i = 0; i < 3000; i++) {
        size_t n = (random = random * 1103515245 + 12345) >> 8 & 4095;

        if (i % 97 == 0)
            n *= 20;
        assert_int_equal(write_samples(&q, in, n), n);
        in += n;
        while (session_voice_queue_samples(&q) >= 480
               && (i % 10 || session_voice_queue_samples(&q) > 20000)) {
            size_t have = random >> 20 & 1 ? 480 : 1 + (random >> 9 & 255);
            const int16_t *pcm =
                session_voice_queue_frame(&q, have, 480, scratch);

            random = random * 1103515245 + 12345;
            for (size_t k = 0; k < 480; k++)
                assert_int_equal(pcm[k], k < have ? sample_of(out + k) : 0);
            session_voice_queue_take(&q, have);
            out += have;
        }
        assert_int_equal(session_voice_queue_samples(&q), in - out);
        assert_true(session_voice_queue_memory(&q) <= (in - out) * 3 + 20000);
    }
    session_voice_queue_clear(&q);
    assert_int_equal(session_voice_queue_samples(&q), 0);
    assert_true(session_voice_queue_memory(&q) < 10000);
    session_voice_queue_deinit(&q);
    assert_int_equal(session_voice_queue_memory(&q), 0);
}

/* What is no base64 leaves nothing behind, wherever it begins. */
static void
test_garbage(void **state)
{
    struct session_voice_queue q = {0};
    struct pcm_text_reader reader = {0}, before;
    size_t chars = 60000;
    char *text = malloc(chars);

    (void) state;
    memset(text, 'A', chars);
    assert_int_equal(session_voice_queue_write(&q, &reader, "AAAA", 4), 1);
    before = reader;
    for (size_t at = 0; at < chars; at += 1111) {
        size_t memory = session_voice_queue_memory(&q);

        text[at] = at % 2 ? '=' : '-';
        assert_int_equal(session_voice_queue_write(&q, &reader, text, chars),
                         UV_EINVAL);
        text[at] = 'A';
        assert_int_equal(session_voice_queue_samples(&q), 1);
        assert_int_equal(session_voice_queue_memory(&q), memory);
        assert_memory_equal(&reader, &before, sizeof reader);
    }
    assert_int_equal(session_voice_queue_write(&q, &reader, text, chars - 1),
                     UV_EINVAL);
    assert_int_equal(session_voice_queue_write(&q, &reader, text, chars),
                     22500);
    free(text);
    session_voice_queue_deinit(&q);
}

/* Ten minutes of packets, kept, given back in order, their memory too. */
static void
test_packets(void **state)
{
    struct session_voice_queue q = {0};
    struct session_voice_packet packet;
    size_t count = 0;

    (void) state;
    assert_false(session_voice_queue_first(&q, &packet));
    while (session_voice_queue_fits(&q, 1280)) {
        size_t bytes = count % 5 == 4 ? 0 : 10 + count % 40;

        memset(session_voice_queue_room(&q), (int) count, bytes);
        session_voice_queue_add(&q, bytes, count % 2 ? 20 : 10,
                                (uint8_t) (count & 3));
        count++;
    }
    assert_true(q.packets_ms > 599900 && q.packets_ms <= 600000);
    assert_true(session_voice_queue_memory(&q) > 1000 * 1000);
    assert_true(session_voice_queue_memory(&q)
                < SESSION_VOICE_QUEUE_PACKETS * 12 / 10);
    for (size_t i = 0; i < count; i++) {
        assert_true(session_voice_queue_first(&q, &packet));
        assert_int_equal(packet.ms, i % 2 ? 20 : 10);
        assert_int_equal(packet.flags, i & 3);
        assert_int_equal(packet.bytes, i % 5 == 4 ? 0 : 18 + i % 40);
        if (packet.bytes > 0) {
            memset(packet.message, 0xff, 8); /* the head */
            assert_int_equal(packet.message[8], (uint8_t) i);
            assert_int_equal(packet.message[packet.bytes - 1], (uint8_t) i);
        }
        session_voice_queue_pop(&q);
    }
    assert_int_equal(q.packets_ms, 0);
    assert_false(session_voice_queue_first(&q, &packet));
    assert_true(session_voice_queue_memory(&q) < 5000);
    session_voice_queue_deinit(&q);
}

/* Each of the three caps. */
static void
test_caps(void **state)
{
    struct session_voice_queue q = {0};

    (void) state;
    assert_false(session_voice_queue_fits(&q, SIZE_MAX));
    assert_false(session_voice_queue_fits(&q, SIZE_MAX - 3));
    assert_true(session_voice_queue_fits(&q, 5592404));
    assert_false(session_voice_queue_fits(&q, 5592408));
    for (int i = 0; i < 4400; i++) {
        session_voice_queue_room(&q);
        session_voice_queue_add(&q, 500, 10, 0);
    }
    assert_false(session_voice_queue_fits(&q, 1280)); /* 2 MiB */
    session_voice_queue_deinit(&q);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        {"R2.3 samples", test_samples, NULL, NULL, NULL},
        {"R2.3 garbage", test_garbage, NULL, NULL, NULL},
        {"R2.3 packets", test_packets, NULL, NULL, NULL},
        {"R2.3 caps", test_caps, NULL, NULL, NULL},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
