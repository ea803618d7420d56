/* SPDX-License-Identifier: BSD-2-Clause */

#include "speech_plugin/speech_plugin.h"

#include "speech_plugin/ears.h"
#include "speech_plugin/mouth.h"

/* The words of the ears' grammars may need the mouth's spelling rules. */
static int
plugin_init(char *error, size_t error_bytes)
{
    int result = mouth_open(error, error_bytes);

    return result != 0 ? result : ears_open(error, error_bytes);
}

static const char *
plugin_version(void)
{
    return "pocketsphinx en-us, flite slt/rms/awb/kal16";
}

extern const struct speech_plugin_api speech_plugin_api;

__attribute__((visibility("default")))
const struct speech_plugin_api speech_plugin_api = {
    .abi = SPEECH_PLUGIN_ABI,
    .init = plugin_init,
    .ears_create = ears_create,
    .ears_destroy = ears_destroy,
    .ears_hear = ears_hear,
    .say = mouth_say,
    .version = plugin_version,
};
