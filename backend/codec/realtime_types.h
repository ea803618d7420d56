/* SPDX-License-Identifier: BSD-2-Clause */

/* The event types of the GA Realtime API, by number. */

#ifndef VOICE_REALTIME_TYPES_H
#define VOICE_REALTIME_TYPES_H

/* X(enum, type): first what clients send, then what servers send. */
#define REALTIME_CLIENT_TYPES(X)                                               \
    X(REALTIME_AUDIO_APPEND, "input_audio_buffer.append")                      \
    X(REALTIME_AUDIO_COMMIT, "input_audio_buffer.commit")                      \
    X(REALTIME_AUDIO_CLEAR, "input_audio_buffer.clear")                        \
    X(REALTIME_OUTPUT_CLEAR, "output_audio_buffer.clear")                      \
    X(REALTIME_SESSION_UPDATE, "session.update")                               \
    X(REALTIME_ITEM_CREATE, "conversation.item.create")                        \
    X(REALTIME_ITEM_RETRIEVE, "conversation.item.retrieve")                    \
    X(REALTIME_ITEM_TRUNCATE, "conversation.item.truncate")                    \
    X(REALTIME_ITEM_DELETE, "conversation.item.delete")                        \
    X(REALTIME_RESPONSE_CREATE, "response.create")                             \
    X(REALTIME_RESPONSE_CANCEL, "response.cancel")

/* All that the GA API documents for WebSocket, WebRTC and SIP sessions; any
 * other server type is REALTIME_OTHER. */
#define REALTIME_SERVER_TYPES(X)                                               \
    X(REALTIME_OUTPUT_AUDIO_DELTA, "response.output_audio.delta")              \
    X(REALTIME_OUTPUT_TRANSCRIPT_DELTA,                                        \
      "response.output_audio_transcript.delta")                                \
    X(REALTIME_OUTPUT_TEXT_DELTA, "response.output_text.delta")                \
    X(REALTIME_ARGUMENTS_DELTA, "response.function_call_arguments.delta")      \
    X(REALTIME_SESSION_CREATED, "session.created")                             \
    X(REALTIME_SESSION_UPDATED, "session.updated")                             \
    X(REALTIME_RESPONSE_CREATED, "response.created")                           \
    X(REALTIME_RESPONSE_DONE, "response.done")                                 \
    X(REALTIME_SPEECH_STARTED, "input_audio_buffer.speech_started")            \
    X(REALTIME_SPEECH_STOPPED, "input_audio_buffer.speech_stopped")            \
    X(REALTIME_ERROR, "error")                                                 \
    X(REALTIME_ITEM_ADDED, "conversation.item.added")                          \
    X(REALTIME_ITEM_DONE, "conversation.item.done")                            \
    X(REALTIME_ITEM_RETRIEVED, "conversation.item.retrieved")                  \
    X(REALTIME_ITEM_DELETED, "conversation.item.deleted")                      \
    X(REALTIME_ITEM_TRUNCATED, "conversation.item.truncated")                  \
    X(REALTIME_HEARD_DELTA,                                                    \
      "conversation.item.input_audio_transcription.delta")                     \
    X(REALTIME_HEARD_COMPLETED,                                                \
      "conversation.item.input_audio_transcription.completed")                 \
    X(REALTIME_HEARD_FAILED,                                                   \
      "conversation.item.input_audio_transcription.failed")                    \
    X(REALTIME_HEARD_SEGMENT,                                                  \
      "conversation.item.input_audio_transcription.segment")                   \
    X(REALTIME_AUDIO_COMMITTED, "input_audio_buffer.committed")                \
    X(REALTIME_AUDIO_CLEARED, "input_audio_buffer.cleared")                    \
    X(REALTIME_AUDIO_TIMEOUT, "input_audio_buffer.timeout_triggered")          \
    X(REALTIME_DTMF, "input_audio_buffer.dtmf_event_received")                 \
    X(REALTIME_BUFFER_STARTED, "output_audio_buffer.started")                  \
    X(REALTIME_BUFFER_STOPPED, "output_audio_buffer.stopped")                  \
    X(REALTIME_BUFFER_CLEARED, "output_audio_buffer.cleared")                  \
    X(REALTIME_OUTPUT_ITEM_ADDED, "response.output_item.added")                \
    X(REALTIME_OUTPUT_ITEM_DONE, "response.output_item.done")                  \
    X(REALTIME_PART_ADDED, "response.content_part.added")                      \
    X(REALTIME_PART_DONE, "response.content_part.done")                        \
    X(REALTIME_OUTPUT_TEXT_DONE, "response.output_text.done")                  \
    X(REALTIME_OUTPUT_AUDIO_DONE, "response.output_audio.done")                \
    X(REALTIME_OUTPUT_TRANSCRIPT_DONE,                                         \
      "response.output_audio_transcript.done")                                 \
    X(REALTIME_ARGUMENTS_DONE, "response.function_call_arguments.done")        \
    X(REALTIME_MCP_ARGUMENTS_DELTA, "response.mcp_call_arguments.delta")       \
    X(REALTIME_MCP_ARGUMENTS_DONE, "response.mcp_call_arguments.done")         \
    X(REALTIME_MCP_CALL_STARTED, "response.mcp_call.in_progress")              \
    X(REALTIME_MCP_CALL_COMPLETED, "response.mcp_call.completed")              \
    X(REALTIME_MCP_CALL_FAILED, "response.mcp_call.failed")                    \
    X(REALTIME_MCP_LIST_STARTED, "mcp_list_tools.in_progress")                 \
    X(REALTIME_MCP_LIST_COMPLETED, "mcp_list_tools.completed")                 \
    X(REALTIME_MCP_LIST_FAILED, "mcp_list_tools.failed")                       \
    X(REALTIME_RATE_LIMITS, "rate_limits.updated")

enum realtime_type {
    REALTIME_OTHER,
#define X(id, text) id,
    REALTIME_CLIENT_TYPES(X) REALTIME_SERVER_TYPES(X)
#undef X
        REALTIME_TYPE_COUNT
};

#endif
