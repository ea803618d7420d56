/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/sdp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define HEAD "v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
#define OURS                                                                   \
    "minptime=10;useinbandfec=1;usedtx=1;maxaveragebitrate=32000;"             \
    "maxplaybackrate=24000;sprop-maxcapturerate=24000;stereo=0;"               \
    "sprop-stereo=0"
#define TIMES "a=ptime:20\r\na=maxptime:20\r\n"

static char *
apply(const char *text, const struct sdp_opus *opus)
{
    struct buffer out;

    buffer_init(&out, SDP_MAX_BYTES);
    assert_int_equal(sdp_apply_opus(text, strlen(text), opus, &out), 0);
    char *made = strdup(buffer_text(&out));
    buffer_deinit(&out);
    return made;
}

static void
expect(const char *text, const char *wanted)
{
    char *made = apply(text, &sdp_opus_default);

    assert_string_equal(made, wanted);
    free(made);
}

static void
refuse(const char *text, int error)
{
    struct buffer out;

    buffer_init(&out, SDP_MAX_BYTES);
    assert_int_equal(buffer_append(&out, "kept", 4), 0);
    assert_int_equal(
        sdp_apply_opus(text, strlen(text), &sdp_opus_default, &out), error);
    assert_int_equal(out.bytes, 4);
    buffer_deinit(&out);
}

/* Chromium's: Opus beside its redundancy, its payload type its own. */
static void
test_chromium(void **state)
{
    (void) state;
    expect(HEAD "a=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\n"
                "a=msid-semantic: WMS 5f1d\r\n"
                "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\n"
                "c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"
                "a=ice-ufrag:4ZcD\r\na=ice-pwd:2/1muCWoOi3uLifh0NuRHlNs\r\n"
                "a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n"
                "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n"
                "a=fmtp:111 minptime=10;useinbandfec=1\r\n"
                "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n"
                "a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\n"
                "a=rtpmap:110 telephone-event/48000\r\n"
                "a=ssrc:3570614608 cname:4TOk42mSjXCkVIa6\r\n"
                "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
                "c=IN IP4 0.0.0.0\r\na=mid:1\r\na=sctp-port:5000\r\n",
           HEAD "a=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\n"
                "a=msid-semantic: WMS 5f1d\r\n"
                "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\n"
                "c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"
                "a=ice-ufrag:4ZcD\r\na=ice-pwd:2/1muCWoOi3uLifh0NuRHlNs\r\n"
                "a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n"
                "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n"
                "a=fmtp:111 " OURS "\r\n"
                "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n"
                "a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\n"
                "a=rtpmap:110 telephone-event/48000\r\n"
                "a=ssrc:3570614608 cname:4TOk42mSjXCkVIa6\r\n" TIMES
                "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
                "c=IN IP4 0.0.0.0\r\na=mid:1\r\na=sctp-port:5000\r\n");
}

/* Firefox asks for stereo at 48 kHz under another number. */
static void
test_firefox(void **state)
{
    (void) state;
    expect("v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 7 0 IN IP4 0.0.0.0\r\n"
           "s=-\r\nt=0 0\r\na=sendrecv\r\na=ice-options:trickle\r\n"
           "m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101\r\n"
           "c=IN IP4 0.0.0.0\r\na=sendrecv\r\n"
           "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
           "a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1\r\n"
           "a=fmtp:101 0-15\r\na=mid:0\r\n"
           "a=rtpmap:109 opus/48000/2\r\na=rtpmap:9 G722/8000/1\r\n"
           "a=rtpmap:101 telephone-event/8000/1\r\n",
           "v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 7 0 IN IP4 0.0.0.0\r\n"
           "s=-\r\nt=0 0\r\na=sendrecv\r\na=ice-options:trickle\r\n"
           "m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101\r\n"
           "c=IN IP4 0.0.0.0\r\na=sendrecv\r\n"
           "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
           "a=fmtp:109 maxplaybackrate=24000;stereo=0;useinbandfec=1;"
           "minptime=10;usedtx=1;maxaveragebitrate=32000;"
           "sprop-maxcapturerate=24000;sprop-stereo=0\r\n"
           "a=fmtp:101 0-15\r\na=mid:0\r\n"
           "a=rtpmap:109 opus/48000/2\r\na=rtpmap:9 G722/8000/1\r\n"
           "a=rtpmap:101 telephone-event/8000/1\r\n" TIMES);
}

/* Safari's own ptime goes; two Opus with different numbers both get ours. */
static void
test_safari(void **state)
{
    (void) state;
    expect(HEAD "m=audio 9 UDP/TLS/RTP/SAVPF 96 97 8\r\na=ptime:40\r\n"
                "a=rtpmap:96 OPUS/48000/2\r\na=rtpmap:97 opus/48000/2\r\n"
                "a=fmtp:97 cbr=1; stereo=1 ;minptime=20\r\na=maxptime:60\r\n"
                "m=video 9 UDP/TLS/RTP/SAVPF 98\r\na=rtpmap:98 H264/90000\r\n"
                "a=fmtp:98 packetization-mode=1\r\na=ptime:60\r\n",
           HEAD "m=audio 9 UDP/TLS/RTP/SAVPF 96 97 8\r\n"
                "a=rtpmap:96 OPUS/48000/2\r\na=fmtp:96 " OURS "\r\n"
                "a=rtpmap:97 opus/48000/2\r\n"
                "a=fmtp:97 cbr=1;stereo=0;minptime=20;useinbandfec=1;usedtx=1;"
                "maxaveragebitrate=32000;maxplaybackrate=24000;"
                "sprop-maxcapturerate=24000;sprop-stereo=0\r\n" TIMES
                "m=video 9 UDP/TLS/RTP/SAVPF 98\r\na=rtpmap:98 H264/90000\r\n"
                "a=fmtp:98 packetization-mode=1\r\na=ptime:60\r\n");
}

static void
test_policy_values(void **state)
{
    const struct sdp_opus opus = {.bitrate = 24000, .ptime_ms = 10};
    char *made = apply(HEAD "m=audio 9 RTP/AVP 111\r\n"
                            "a=rtpmap:111 opus/48000/2\r\n",
                       &opus);

    (void) state;
    assert_non_null(strstr(made, ";useinbandfec=0;usedtx=0;"));
    assert_non_null(strstr(made, "maxaveragebitrate=24000;"));
    assert_non_null(strstr(made, "a=ptime:10\r\na=maxptime:20\r\n"));
    free(made);
}

/* Less than the most stands; what is no bitrate doesn't. */
static void
test_lower_bitrate(void **state)
{
    static const struct {
        const char *asked, *got;
    } rows[] = {
        {"16000", "16000"}, {"510000", "32000"},      {"5999", "32000"},
        {"", "32000"},      {"16000x", "32000"},      {"32000", "32000"},
        {"6000", "6000"},   {"99999999999", "32000"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[256], wanted[64];
        snprintf(text, sizeof(text),
                 HEAD "m=audio 9 RTP/AVP 7\na=rtpmap:7 opus/48000/2\n"
                      "a=fmtp:7 maxaveragebitrate=%s\n",
                 rows[i].asked);
        snprintf(wanted, sizeof(wanted), "a=fmtp:7 maxaveragebitrate=%s;",
                 rows[i].got);
        char *made = apply(text, &sdp_opus_default);
        assert_non_null(strstr(made, wanted));
        free(made);
    }
}

/* Each line keeps the ending it has; ours have their neighbour's. */
static void
test_endings(void **state)
{
    (void) state;
    expect("v=0\no=- 1 1 IN IP4 0\ns=-\nm=audio 9 RTP/AVP 5\n"
           "a=rtpmap:5 opus/48000/2\n",
           "v=0\no=- 1 1 IN IP4 0\ns=-\nm=audio 9 RTP/AVP 5\n"
           "a=rtpmap:5 opus/48000/2\na=fmtp:5 " OURS
           "\na=ptime:20\na=maxptime:20\n");
    /* None at the end. */
    expect("v=0\r\nm=audio 9 RTP/AVP 5\r\na=rtpmap:5 opus/48000/2",
           "v=0\r\nm=audio 9 RTP/AVP 5\r\na=rtpmap:5 opus/48000/2\r\n"
           "a=fmtp:5 " OURS "\r\n" TIMES);
    /* An empty line at the end. */
    expect("v=0\r\nm=audio 9 RTP/AVP 5\r\na=rtpmap:5 opus/48000/2\r\n\r\n",
           "v=0\r\nm=audio 9 RTP/AVP 5\r\na=rtpmap:5 opus/48000/2\r\n"
           "a=fmtp:5 " OURS "\r\n" TIMES "\r\n");
}

/* Nothing to do is nothing done. */
static void
test_untouched(void **state)
{
    static const char *const texts[] = {
        HEAD,
        HEAD "m=audio 9 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=ptime:40\r\n",
        HEAD "m=audio 9 RTP/AVP 9\r\na=rtpmap:9 opus/48000\r\n",
        HEAD "m=audio 9 RTP/AVP 9\r\na=rtpmap:9 opus/16000/1\r\n",
        HEAD "m=audio 9 RTP/AVP 9\r\na=rtpmap:9 multiopus/48000/6",
        HEAD "m=video 9 RTP/AVP 9\r\na=rtpmap:9 opus/48000/2\r\n",
        HEAD "m=audiovideo 9 RTP/AVP 9\r\na=rtpmap:9 opus/48000/2\r\n",
    };

    (void) state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        expect(texts[i], texts[i]);
}

/* Ours once, the rest as often as they come. */
static void
test_twice(void **state)
{
    (void) state;
    expect("v=0\nm=audio 9 RTP/AVP 5\na=rtpmap:5 opus/48000/2\n"
           "a=fmtp:5 stereo=1;;x;STEREO=1;x; ;usedtx=0\n",
           "v=0\nm=audio 9 RTP/AVP 5\na=rtpmap:5 opus/48000/2\n"
           "a=fmtp:5 stereo=0;x;x;usedtx=1;minptime=10;useinbandfec=1;"
           "maxaveragebitrate=32000;maxplaybackrate=24000;"
           "sprop-maxcapturerate=24000;sprop-stereo=0\n"
           "a=ptime:20\na=maxptime:20\n");
}

static void
test_malformed(void **state)
{
    static const char *const texts[] = {
        "",
        "v=0",
        "v=1\r\n",
        "v=01\r\n",
        "\r\nv=0\r\n",
        "{\"sdp\":\"v=0\"}",
        "v=0\r\n\r\nm=audio 9 RTP/AVP 0\r\n",
        "v=0\r\nno line\r\n",
        "v=0\r\nM=audio 9 RTP/AVP 0\r\n",
        "v=0\r\na=x\001y\r\n",
        "v=0\r\na=x\ry\r\n",
        "v=0\r\nm=audio\r\n",
        "v=0\r\nm= audio 9 RTP/AVP\r\n",
        "v=0\r\nm=audio 9 RTP/AVP \r\n",
        "v=0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:128 opus/48000/2\r\n",
        "v=0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:x opus/48000/2\r\n",
        "v=0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:1\r\n",
        "v=0\r\nm=audio 9 RTP/AVP 0\r\na=fmtp:-1 x\r\n",
    };

    (void) state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        refuse(texts[i], UV_EINVAL);
}

/* Neither what comes nor what goes is longer than allowed. */
static void
test_size(void **state)
{
    size_t room = SDP_MAX_BYTES + 64, bytes;
    char *text = malloc(room);

    (void) state;
    assert_non_null(text);
    memset(text, 'x', room);
    text[room - 1] = 0;
    refuse(text, UV_E2BIG);
    bytes = (size_t) snprintf(text, room, "v=0\na=");
    memset(text + bytes, 'x', SDP_LINE_BYTES);
    snprintf(text + bytes + SDP_LINE_BYTES, 2, "\n");
    refuse(text, UV_EINVAL);
    /* Many lines that each want to grow. */
    bytes = (size_t) snprintf(text, room,
                              "v=0\nm=audio 9 RTP/AVP 5\n"
                              "a=rtpmap:5 opus/48000/2\n");
    while (bytes + 16 < SDP_MAX_BYTES)
        bytes += (size_t) snprintf(text + bytes, room - bytes, "a=fmtp:5 x\n");
    refuse(text, UV_E2BIG);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chromium),
        cmocka_unit_test(test_firefox),
        cmocka_unit_test(test_safari),
        cmocka_unit_test(test_policy_values),
        cmocka_unit_test(test_lower_bitrate),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_untouched),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_size),
    };

    return cmocka_run_group_tests_name("R2.3 sdp", tests, NULL, NULL);
}
