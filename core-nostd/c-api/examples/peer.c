/*
 * A device in C, whole: identity, bundle, sessions started by either side, storage, and the link.
 *
 * It takes commands, one a line, and answers in lines: what a relay would carry goes in and out in
 * hexadecimal, so that a person can try it and a test can be the other party.
 *
 *   boot                         address, public, bundle, prekeys
 *   contact N ADDRESS            person N (0 or 1) is known from now on
 *   start N BUNDLE [ONE-TIME]    starts a session with person N
 *   send N TEXT                  envelope
 *   deliver N ENVELOPE           message, then ack; or refuse
 *   safety N                     the digits that two people compare
 *   link RELAY-KEY               flight
 *   flight BYTES                 flight; the link is up
 *   seal FRAMES                  record
 *   open RECORD                  frames
 *   power                        RAM is lost; the next command is a boot
 *   worn WRITES                  so many writes to flash will fail
 *
 * Every command ends with "done" or with "failed" and the status.
 */
#include <string.h>

#include "hushwire.h"
#include "port.h"

enum { PEOPLE = 2, MAX_BODY = 1024, RECORD = 1400 };

/* All state is static: no heap, and its size is known when the program is linked. */
static struct {
    hw_identity identity;
    hw_prekeys prekeys;
    hw_session sessions[PEOPLE];
    hw_link relay;
} ram;
static uint8_t buffer[HW_HEAD_ROOM + RECORD]; /* For whatever comes or goes: one at a time. */
static hw_contact contacts[PEOPLE];           /* A real device stores these beside the sessions. */

/* A real device has this key from protected memory or a secure element. */
static const uint8_t storage_key[HW_STORAGE_KEY_LEN] = "an example keeps no secrets...";

/*
 * The heart of the integration. Hushwire calls this before anything may leave: the record and the
 * message, where there is one, have to survive a loss of power together before we answer 0.
 * This program's inbox is its output: a message shows here, once, and nowhere else.
 */
static int32_t store(void *context, const hw_commit *commit)
{
    (void)context;
    if (!port_flash_write(commit->slot, commit->record, commit->record_len)) {
        return -1;
    }
    if (commit->message != NULL && commit->message->kind == HW_KIND_DATA) {
        /* A replayable message must not execute a command; showing it is harmless. */
        port_say(commit->message->replayable ? "replayable" : "message", commit->message->body,
                 commit->message->body_len);
    }
    return 0;
}

static const hw_env env = {.random = port_random, .store = store, .storage_key = storage_key};

/* What the relay is given, so that others can write to us while we sleep. */
static hw_status publish(void)
{
    uint8_t address[HW_ADDRESS_LEN], public[HW_PUBLIC_LEN], bundle[HW_BUNDLE_LEN];
    uint8_t list[HW_PREKEY_LIST_LEN];
    size_t len;
    TRY(hw_identity_address(&ram.identity, address));
    TRY(hw_identity_public(&ram.identity, public));
    TRY(hw_prekeys_bundle(&ram.prekeys, &ram.identity, &env, MAX_BODY, bundle));
    TRY(hw_prekeys_list(&ram.prekeys, list, sizeof list, &len));
    port_say("address", address, sizeof address);
    port_say("public", public, sizeof public);
    port_say("bundle", bundle, sizeof bundle);
    port_say("prekeys", list, len);
    return HW_STATUS_OK;
}

/* Everything back from flash, or a new identity where there is none. */
static hw_status boot(void)
{
    static uint8_t record[HW_RECORD_MAX];
    uint64_t now_ms = 0; /* The device's own running time; a real one counts on where it stopped. */
    size_t len = port_flash_read(HW_SLOT_IDENTITY, record, sizeof record);
    TRY(len > 0 ? hw_identity_restore(&ram.identity, &env, record, len)
                : hw_identity_generate(&ram.identity, &env));
    len = port_flash_read(HW_SLOT_PREKEYS, record, sizeof record);
    TRY(len > 0 ? hw_prekeys_restore(&ram.prekeys, &env, record, len)
                : hw_prekeys_generate(&ram.prekeys, &env, now_ms));
    for (uint32_t i = 0; i < PEOPLE; i++) {
        uint32_t slot = HW_SLOT_SESSION + i;
        len = port_flash_read(slot, record, sizeof record);
        if (len > 0) {
            TRY(hw_session_restore(&ram.sessions[i], slot, &ram.prekeys, &env, record, len));
        }
    }
    return publish();
}

/* The bundle comes from the relay; hw_session_start() checks that it is the contact's. */
static hw_status start(uint32_t who, const char *bundle_hex, const char *one_time_hex)
{
    uint8_t bundle[HW_BUNDLE_LEN], listed[4 + 33];
    hw_one_time_prekey one_time;
    size_t len = port_bytes(bundle_hex, bundle, sizeof bundle);
    bool has_one_time = port_bytes(one_time_hex, listed, sizeof listed) == sizeof listed;
    if (has_one_time) {
        one_time.id = port_u32(listed);
        memcpy(one_time.point, listed + 4, sizeof one_time.point);
    }
    return hw_session_start(&ram.sessions[who], HW_SLOT_SESSION + who, &ram.identity, &env,
                            &contacts[who], bundle, len, has_one_time ? &one_time : NULL, MAX_BODY);
}

/* When hw_session_seal() answers OK, storage is already ahead of the envelope: it may leave. */
static hw_status send(uint32_t who, const char *text)
{
    size_t len;
    hw_message message = {
        .kind = HW_KIND_DATA, .body = (const uint8_t *)text, .body_len = strlen(text)};
    if (port_random(NULL, message.id, sizeof message.id) != 0) {
        return HW_STATUS_RANDOM;
    }
    TRY(hw_session_seal(&ram.sessions[who], &env, &message, buffer, sizeof buffer, &len));
    port_say("envelope", buffer, len);
    return HW_STATUS_OK;
}

/* The relay hints who sent it; only that person's session is tried. Ack after OK, else refuse. */
static hw_status deliver(uint32_t who, const char *hex)
{
    size_t len = port_bytes(hex, buffer, sizeof buffer);
    hw_envelope_info info;
    hw_message message;
    hw_status status = hw_envelope_inspect(buffer, len, &info);
    if (status == HW_STATUS_OK) {
        status = hw_session_open(&ram.sessions[who], &env, buffer, len, &message);
    }
    /* STATE: there is no session yet, and a start makes one. The envelope is still as it was. */
    if (status == HW_STATUS_STATE && info.is_start) {
        status = hw_session_accept(&ram.sessions[who], HW_SLOT_SESSION + who, &ram.identity, &ram.prekeys, &env,
                                   &contacts[who], buffer, len, &message);
    }
    if (status == HW_STATUS_OK || status == HW_STATUS_UNOPENABLE) {
        port_say(status == HW_STATUS_OK ? "ack" : "refuse", info.id, sizeof info.id);
    } /* Else the fault is ours: no answer, and the relay delivers it again. */
    return status;
}

/* Both people read these digits to each other: then nobody stands in between. */
static hw_status safety(uint32_t who)
{
    uint8_t public[HW_PUBLIC_LEN];
    char text[HW_SAFETY_NUMBER_LEN];
    TRY(hw_identity_public(&ram.identity, public));
    TRY(hw_safety_number(public, contacts[who].identity, text));
    port_tell("safety", text);
    return HW_STATUS_OK;
}

/* The link to a relay, in three flights; the relay's key is in its URL. */
static hw_status link_start(const char *hex)
{
    uint8_t key[HW_RELAY_KEY_LEN] = {0}, flight[HW_FLIGHT_1_LEN];
    hw_link_limits limits = {.max_record = RECORD, .max_frame = RECORD - 18, .window = 1};
    port_bytes(hex, key, sizeof key);
    TRY(hw_link_start(&ram.relay, &env, key, &limits, flight));
    port_say("flight", flight, sizeof flight);
    return HW_STATUS_OK;
}

static hw_status link_finish(const char *hex)
{
    uint8_t theirs[HW_FLIGHT_2_LEN] = {0}, ours[HW_FLIGHT_3_LEN];
    port_bytes(hex, theirs, sizeof theirs);
    TRY(hw_link_finish(&ram.relay, &ram.identity, theirs, ours, NULL));
    port_say("flight", ours, sizeof ours);
    return HW_STATUS_OK;
}

static hw_status link_seal(const char *hex)
{
    size_t len = port_bytes(hex, buffer + HW_HEAD_ROOM, RECORD - HW_TAIL_ROOM);
    TRY(hw_link_seal(&ram.relay, buffer, sizeof buffer, len, &len));
    port_say("record", buffer, len);
    return HW_STATUS_OK;
}

static hw_status link_open(const char *hex)
{
    uint8_t *frames;
    size_t len = port_bytes(hex, buffer, sizeof buffer);
    TRY(hw_link_next(&ram.relay, buffer, len, &len));
    TRY(hw_link_open(&ram.relay, buffer + HW_HEAD_ROOM, len, &frames, &len));
    port_say("frames", frames, len);
    return HW_STATUS_OK;
}

static hw_status run(char *words[4])
{
    const char *command = words[0];
    uint32_t who = port_decimal(words[1]) % PEOPLE;
    if (strcmp(command, "contact") == 0) {
        contacts[who] = (hw_contact){.bundle_counter = 0};
        port_bytes(words[2], contacts[who].address, HW_ADDRESS_LEN);
        return HW_STATUS_OK;
    } else if (strcmp(command, "power") == 0) { /* Contexts are not wiped: they are gone. */
        memset(&ram, 0, sizeof ram);
        return HW_STATUS_OK;
    } else if (strcmp(command, "worn") == 0) {
        port_flash_fail(port_decimal(words[1]));
        return HW_STATUS_OK;
    }
    return strcmp(command, "boot") == 0      ? boot()
           : strcmp(command, "start") == 0   ? start(who, words[2], words[3])
           : strcmp(command, "send") == 0    ? send(who, words[2])
           : strcmp(command, "deliver") == 0 ? deliver(who, words[2])
           : strcmp(command, "safety") == 0  ? safety(who)
           : strcmp(command, "link") == 0    ? link_start(words[1])
           : strcmp(command, "flight") == 0  ? link_finish(words[1])
           : strcmp(command, "seal") == 0    ? link_seal(words[1])
           : strcmp(command, "open") == 0    ? link_open(words[1])
                                             : (hw_status)HW_STATUS_ARGUMENT;
}

int main(void)
{
    static char line[PORT_LINE];
    char *words[4];
    if (hw_api_version() != HW_API_VERSION) {
        port_tell("failed", "header and library are of different versions");
        return 1;
    }
    while (port_read_words(line, words, 4)) {
        hw_status status = run(words);
        port_tell(status == HW_STATUS_OK ? "done" : "failed", hw_status_text(status));
    }
    /* Secrets do not stay behind in RAM that others may use. */
    for (uint32_t i = 0; i < PEOPLE; i++) {
        hw_session_wipe(&ram.sessions[i]);
    }
    hw_link_wipe(&ram.relay);
    hw_prekeys_wipe(&ram.prekeys);
    hw_identity_wipe(&ram.identity);
    return 0;
}
