/*
 * Hushwire: end-to-end encrypted messaging that fits in a microcontroller. MIT or Apache-2.0.
 *
 * Made by cbindgen of core-nostd/c-api/src; a test makes it anew and compares. Do not edit.
 *
 * The contract of every function:
 *
 * - A pointer is null or points to as much memory as the call says, which nobody else (another
 *   thread, an interrupt, a DMA engine, a call-back) uses until the call returns. What may be null
 *   says so. Buffers of one call do not overlap.
 * - A context (hw_identity, hw_prekeys, hw_session, hw_link) is zeroed before its first use:
 *   `static hw_session s;` or `hw_session s = {0};`. It stays where it is, is never copied, and is
 *   wiped with its hw_..._wipe() when it has served. Different contexts may be used by different
 *   threads at the same time.
 * - Everything that can be checked is checked, and answered with a status: null, alignment, overlap,
 *   lengths, and whether a context is live. Nothing allocates, and nothing blocks but the call-backs.
 * - Persist before send, persist before ack: what a call hands out has been through the store
 *   call-back first.
 *
 * examples/peer.c is a whole program; docs/LINKING.md says how to link; docs/PROTOCOL.md is the rest.
 */


#ifndef HUSHWIRE_H
#define HUSHWIRE_H

#include <stddef.h>
#include <stdint.h>

/**
 * Rises when a function, a structure or a record of this header changes.
 */
#define HW_API_VERSION 1

/**
 * Bytes of the largest record that the store call-back is given.
 */
#define HW_RECORD_MAX 1780

/**
 * Bytes of the storage key.
 */
#define HW_STORAGE_KEY_LEN 32

/**
 * The slot of the identity's record. Prekeys and sessions have slots of their own.
 */
#define HW_SLOT_IDENTITY 0

/**
 * The slot of the prekeys' record.
 */
#define HW_SLOT_PREKEYS 1

/**
 * The first slot for sessions: the program numbers them from here on.
 */
#define HW_SLOT_SESSION 2

/**
 * Words of 8 bytes in an identity's context.
 */
#define HW_IDENTITY_WORDS 18

/**
 * Bytes of an address.
 */
#define HW_ADDRESS_LEN 20

/**
 * Bytes of an address as text, the closing NUL included.
 */
#define HW_ADDRESS_TEXT_LEN 44

/**
 * Bytes of both public keys of an identity.
 */
#define HW_PUBLIC_LEN 66

/**
 * Bytes of a seed.
 */
#define HW_SEED_LEN 32

/**
 * Bytes of a safety number as text, the closing NUL included.
 */
#define HW_SAFETY_NUMBER_LEN 72

/**
 * One-time prekeys on offer at a time.
 */
#define HW_ONE_TIME_PREKEYS 8

/**
 * Words of 8 bytes in the prekeys' context.
 */
#define HW_PREKEYS_WORDS 95

/**
 * Bytes of a bundle.
 */
#define HW_BUNDLE_LEN 213

/**
 * Bytes of the list of one-time prekeys on offer, at most.
 */
#define HW_PREKEY_LIST_LEN 296

/**
 * Words of 8 bytes in a session's context.
 */
#define HW_SESSION_WORDS 206

/**
 * Bytes that an envelope is longer than its padded body, at most: a session's first messages.
 */
#define HW_ENVELOPE_OVERHEAD 252

/**
 * Bytes of the envelope of a body of 1024 bytes, which every party takes: the buffer of a device.
 */
#define HW_ENVELOPE_MAX 1276

/**
 * Bytes of a message's id.
 */
#define HW_MESSAGE_ID_LEN 16

/**
 * A message that asks whether the peer holds the session. Empty. Answer it.
 */
#define HW_KIND_PROBE 0

/**
 * User data.
 */
#define HW_KIND_DATA 1

/**
 * The ids of messages that were recorded, 16 bytes each.
 */
#define HW_KIND_RECEIPT 2

/**
 * Messages came that could not be opened: seal again what was not receipted. Empty.
 */
#define HW_KIND_RESEND 3

/**
 * The sender holds the session; answers a probe. Empty.
 */
#define HW_KIND_ALIVE 4

/**
 * Bytes of an envelope's id.
 */
#define HW_ENVELOPE_ID_LEN 16

/**
 * Bytes of the tag that names a start.
 */
#define HW_START_TAG_LEN 8

/**
 * Words of 8 bytes in a link's context.
 */
#define HW_LINK_WORDS 28

/**
 * Bytes of a relay's public key, as its URL shows it in hexadecimal.
 */
#define HW_RELAY_KEY_LEN 33

/**
 * Bytes that a client sends first.
 */
#define HW_FLIGHT_1_LEN 88

/**
 * Bytes that the relay answers, the length in front included.
 */
#define HW_FLIGHT_2_LEN 89

/**
 * Bytes that a client sends last.
 */
#define HW_FLIGHT_3_LEN 138

/**
 * Bytes in front of a record's frames: its length.
 */
#define HW_HEAD_ROOM 2

/**
 * Bytes behind a record's frames: the tag.
 */
#define HW_TAIL_ROOM 16

/**
 * The length of a frame inside a record stands in front of it: big-endian, this many bytes.
 */
#define HW_FRAME_PREFIX_LEN 2

/**
 * What a call answers. Everything but HW_STATUS_OK and HW_STATUS_MORE is a failure.
 */
enum hw_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Done.
     */
    HW_STATUS_OK = 0,
    /**
     * A pointer is null, misaligned or overlaps another, or a length or value is impossible. The
     * caller is at fault; nothing changed.
     */
    HW_STATUS_ARGUMENT = 1,
    /**
     * The context is not in the state that the call needs: zeroed, in use already, copied from
     * elsewhere, of another kind, or busy in a call that is still running. Nothing changed.
     */
    HW_STATUS_STATE = 2,
    /**
     * A store failed while this context changed: what RAM holds is ahead of storage. Wipe the context
     * and restore it from its last record.
     */
    HW_STATUS_STALE = 3,
    /**
     * The buffer is too small. Where the call has a length to write, it says what is needed.
     */
    HW_STATUS_BUFFER = 4,
    /**
     * The message is larger than the recipient takes.
     */
    HW_STATUS_TOO_LARGE = 5,
    /**
     * The random call-back failed, or gives the same byte over and over. Nothing left the device.
     */
    HW_STATUS_RANDOM = 6,
    /**
     * The store call-back failed. Nothing left the device.
     */
    HW_STATUS_STORE = 7,
    /**
     * A stored record does not open or decode: damaged, of another slot or epoch, another key.
     */
    HW_STATUS_RECORD = 8,
    /**
     * The message does not open: not for this session, altered, repeated, or malformed. One answer
     * for all of these, and no state changed: another session may be tried on the same bytes.
     */
    HW_STATUS_UNOPENABLE = 9,
    /**
     * The message is authentic and lies too far ahead. Seal an empty message of kind HW_KIND_RESEND.
     */
    HW_STATUS_TOO_FAR = 10,
    /**
     * The bundle is refused: malformed, not this address's, or not signed by it.
     */
    HW_STATUS_BUNDLE = 11,
    /**
     * The bundle is older than one that was seen before. Its giver is at fault.
     */
    HW_STATUS_ROLLED_BACK = 12,
    /**
     * The bundle or the relay shows a key of our own. Its giver is at fault.
     */
    HW_STATUS_OWN_KEY = 13,
    /**
     * The bytes are no valid key, or the text is no address.
     */
    HW_STATUS_KEY = 14,
    /**
     * The link failed: close the connection and make a new link.
     */
    HW_STATUS_LINK = 15,
    /**
     * A key was used as often as it may be: start a new session or link.
     */
    HW_STATUS_EXHAUSTED = 16,
    /**
     * More bytes of the stream are needed.
     */
    HW_STATUS_MORE = 17,
    /**
     * The curve's arithmetic failed.
     */
    HW_STATUS_BACKEND = 18,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum hw_status hw_status;
#else
typedef int32_t hw_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * This device's two long-term keys. Zero it before first use; it may not be moved or copied.
 */
typedef struct hw_identity {
    uint64_t opaque[HW_IDENTITY_WORDS];
} hw_identity;

/**
 * One message, to be sealed or opened.
 */
typedef struct hw_message {
    /**
     * Its body. Of an opened message it lies inside the envelope's buffer.
     */
    const uint8_t *body;
    /**
     * Bytes of the body.
     */
    size_t body_len;
    /**
     * 16 random bytes, the same each time the message is sealed: by it the recipient knows a
     * message that comes twice.
     */
    uint8_t id[HW_MESSAGE_ID_LEN];
    /**
     * Set by opening: messages before this one that can come no more.
     */
    uint32_t lost;
    /**
     * HW_KIND_DATA or another kind. Take note of unknown ones, and ack them.
     */
    uint8_t kind;
    /**
     * Set by opening: 1 where this may be a replay of a first message. It must execute nothing.
     */
    uint8_t replayable;
} hw_message;

/**
 * What the store call-back must write in one transaction: after a loss of power all of it is
 * there, or nothing.
 */
typedef struct hw_commit {
    /**
     * Which record to replace.
     */
    uint32_t slot;
    /**
     * The new record, sealed: it may lie in any memory. Valid until the call-back returns.
     */
    const uint8_t *record;
    /**
     * Bytes of the record, at most HW_RECORD_MAX.
     */
    size_t record_len;
    /**
     * The message that was opened with this state, or null. Keep its content in the same
     * transaction: it opens only once. Valid until the call-back returns.
     */
    const struct hw_message *message;
} hw_commit;

/**
 * What the program lends to each call: keep one for all.
 */
typedef struct hw_env {
    /**
     * Handed to both call-backs.
     */
    void *context;
    /**
     * Fills `len` bytes with randomness fit for keys; 0 for success. It must fail rather than give
     * bytes of a generator that is not healthy.
     */
    int32_t (*random)(void *context, uint8_t *out, size_t len);
    /**
     * Stores; 0 only once everything would survive a loss of power. It must not use the contexts
     * and buffers of the call that it serves.
     */
    int32_t (*store)(void *context, const struct hw_commit *commit);
    /**
     * 32 bytes, under which every record is sealed: from protected memory, where the chip has some.
     */
    const uint8_t *storage_key;
    /**
     * Generation of the whole storage; a record opens in its own only. Raise it where a device
     * changes its owner, else leave it 0.
     */
    uint64_t epoch;
} hw_env;

/**
 * This device's own prekeys. Zero it before first use; it may not be moved or copied.
 */
typedef struct hw_prekeys {
    uint64_t opaque[HW_PREKEYS_WORDS];
} hw_prekeys;

/**
 * A conversation with one peer. Zero it before first use; it may not be moved or copied.
 */
typedef struct hw_session {
    uint64_t opaque[HW_SESSION_WORDS];
} hw_session;

/**
 * What is known of a peer. Keep one for each, beside its session.
 */
typedef struct hw_contact {
    /**
     * Who it is: set by the program, from where the user trusts it.
     */
    uint8_t address[HW_ADDRESS_LEN];
    /**
     * Both public keys, for the safety number: set by the calls that learn them.
     */
    uint8_t identity[HW_PUBLIC_LEN];
    /**
     * Highest counter of its bundles so far, 0 at first: raised by hw_session_start().
     */
    uint64_t bundle_counter;
} hw_contact;

/**
 * A one-time prekey of a peer, as its relay hands it out.
 */
typedef struct hw_one_time_prekey {
    /**
     * Its number.
     */
    uint32_t id;
    /**
     * Its point.
     */
    uint8_t point[33];
} hw_one_time_prekey;

/**
 * What an envelope shows to everybody. Nothing of it is authentic.
 */
typedef struct hw_envelope_info {
    /**
     * Its id: what ack and refuse name. Ask before opening, which changes the envelope's bytes.
     */
    uint8_t id[HW_ENVELOPE_ID_LEN];
    /**
     * Of a start, the tag of the session that it belongs to; else zeros.
     */
    uint8_t start_tag[HW_START_TAG_LEN];
    /**
     * 1 where the envelope can start a session. Try hw_session_open() with the sender's sessions
     * first: a first flight may repeat its start.
     */
    uint8_t is_start;
} hw_envelope_info;

/**
 * What a session says of itself.
 */
typedef struct hw_session_info {
    /**
     * Where its record is.
     */
    uint32_t slot;
    /**
     * Largest body that the peer takes, in bytes.
     */
    uint32_t max_body;
    /**
     * Names the start that made it.
     */
    uint8_t start_tag[HW_START_TAG_LEN];
    /**
     * 1 once the peer has shown that it holds this session now. Until then keep a confirmed older
     * session beside it, and send on that one.
     */
    uint8_t is_confirmed;
    /**
     * 1 where this side started it.
     */
    uint8_t is_initiator;
    /**
     * 1 where the next seal makes a new ratchet key, which takes two multiplications on the curve.
     */
    uint8_t will_step;
} hw_session_info;

/**
 * One connection to a relay. Zero it before first use; it may not be moved or copied.
 */
typedef struct hw_link {
    uint64_t opaque[HW_LINK_WORDS];
} hw_link;

/**
 * What one side of a link takes.
 */
typedef struct hw_link_limits {
    /**
     * Bytes of the largest record without its length: frames and tag.
     */
    uint16_t max_record;
    /**
     * Bytes of the largest frame, at least 1313.
     */
    uint16_t max_frame;
    /**
     * Deliveries under way without an ack or refusal.
     */
    uint16_t window;
} hw_link_limits;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The library's HW_API_VERSION. A program whose header says otherwise must not call it.
 */
uint32_t hw_api_version(void);

/**
 * A sentence without a full stop for a status, for logs. It lives for ever; unknown numbers have one
 * too.
 */
const char *hw_status_text(int32_t status);

/**
 * Makes a new identity and stores its seed at HW_SLOT_IDENTITY before anything else can happen.
 */
hw_status hw_identity_generate(struct hw_identity *identity, const struct hw_env *env);

/**
 * Takes the identity out of its record, which is opened and wiped in place.
 */
hw_status hw_identity_restore(struct hw_identity *identity,
                              const struct hw_env *env,
                              uint8_t *record,
                              size_t record_len);

/**
 * Grows the identity from a seed of full entropy that the program keeps itself.
 *
 */
hw_status hw_identity_from_seed(struct hw_identity *identity, const uint8_t seed[HW_SEED_LEN]);

/**
 * Writes both public keys.
 *
 */
hw_status hw_identity_public(struct hw_identity *identity, uint8_t out[HW_PUBLIC_LEN]);

/**
 * Writes the address.
 *
 */
hw_status hw_identity_address(struct hw_identity *identity, uint8_t out[HW_ADDRESS_LEN]);

/**
 * Wipes the keys in RAM. The record is untouched.
 */
hw_status hw_identity_wipe(struct hw_identity *identity);

/**
 * Writes an address as people see it, `hush1...` and a closing NUL.
 *
 */
hw_status hw_address_format(const uint8_t address[HW_ADDRESS_LEN], char text[HW_ADDRESS_TEXT_LEN]);

/**
 * Reads an address that somebody typed: `len` characters, no NUL needed. Typing errors are found.
 *
 */
hw_status hw_address_parse(const char *text, size_t len, uint8_t address[HW_ADDRESS_LEN]);

/**
 * Writes the safety number of two identities: 12 groups of 5 digits, the same on both sides, and a
 * closing NUL.
 *
 */
hw_status hw_safety_number(const uint8_t ours[HW_PUBLIC_LEN],
                           const uint8_t theirs[HW_PUBLIC_LEN],
                           char text[HW_SAFETY_NUMBER_LEN]);

/**
 * Makes the first signed prekey and a set of one-time prekeys, and stores them. `now_ms` is the
 * device's own running time, persisted over its starts.
 */
hw_status hw_prekeys_generate(struct hw_prekeys *prekeys,
                              const struct hw_env *env,
                              uint64_t now_ms);

/**
 * Takes the prekeys out of their record, which is opened and wiped in place, and counts a start of
 * the device.
 */
hw_status hw_prekeys_restore(struct hw_prekeys *prekeys,
                             const struct hw_env *env,
                             uint8_t *record,
                             size_t record_len);

/**
 * Makes a new signed prekey if the old one had its time (7 days of running, or 100 starts), and
 * stores it. Sets `changed` to 1 then: publish the bundle anew. Call it at boot and once a day.
 */
hw_status hw_prekeys_rotate_if_due(struct hw_prekeys *prekeys,
                                   const struct hw_env *env,
                                   uint64_t now_ms,
                                   uint8_t *changed);

/**
 * Makes a new set of one-time prekeys and stores it; the set before it stays good once more. Then
 * upload hw_prekeys_list().
 */
hw_status hw_prekeys_refill(struct hw_prekeys *prekeys, const struct hw_env *env);

/**
 * Raises the bundle's counter above one that a relay shows for this identity: it had a life before.
 * Stores it; publish the bundle anew.
 */
hw_status hw_prekeys_outrun(struct hw_prekeys *prekeys, const struct hw_env *env, uint64_t counter);

/**
 * Writes the one-time prekeys on offer as the relay takes them: (id, 4 bytes big-endian; point, 33
 * bytes) for each. `written` is set to their length.
 */
hw_status hw_prekeys_list(struct hw_prekeys *prekeys,
                          uint8_t *out,
                          size_t out_size,
                          size_t *written);

/**
 * How many one-time prekeys on offer are unspent.
 */
hw_status hw_prekeys_unspent(struct hw_prekeys *prekeys, size_t *count);

/**
 * Writes the bundle, signed: what a peer needs to write first. `max_body` is the largest body that
 * this device takes, in bytes, from 1024 to 16384.
 *
 */
hw_status hw_prekeys_bundle(struct hw_prekeys *prekeys,
                            struct hw_identity *identity,
                            const struct hw_env *env,
                            uint16_t max_body,
                            uint8_t out[HW_BUNDLE_LEN]);

/**
 * Wipes the prekeys in RAM. The record is untouched.
 */
hw_status hw_prekeys_wipe(struct hw_prekeys *prekeys);

/**
 * Starts a session with `contact` out of its bundle, which is verified first: it must be the
 * address's, signed by it, and not older than one seen before. `one_time` is the prekey that the
 * relay hands out with it, or null. `max_body` is the largest body that this device takes.
 *
 * Nothing is stored and nothing leaves yet: seal a message. Until the peer answers, each sealed
 * message carries the start, so that any of them may come first.
 */
hw_status hw_session_start(struct hw_session *session,
                           uint32_t slot,
                           struct hw_identity *identity,
                           const struct hw_env *env,
                           struct hw_contact *contact,
                           const uint8_t *bundle,
                           size_t bundle_len,
                           const struct hw_one_time_prekey *one_time,
                           uint16_t max_body);

/**
 * Checks a bundle as hw_session_start() does, and says whose keys it shows, without starting
 * anything: to compare the safety number before the first word.
 */
hw_status hw_bundle_verify(struct hw_contact *contact, const uint8_t *bundle, size_t bundle_len);

/**
 * Says what an envelope shows to everybody, before anything is opened.
 */
hw_status hw_envelope_inspect(const uint8_t *envelope,
                              size_t envelope_len,
                              struct hw_envelope_info *info);

/**
 * Says who the sender of a start claims to be: one agreement, before more is computed. Use it where
 * the sender is not known yet; whoever it names is proved by hw_session_accept() only.
 */
hw_status hw_start_sender(struct hw_identity *identity,
                          const uint8_t *envelope,
                          size_t envelope_len,
                          struct hw_contact *contact);

/**
 * Accepts a start of `contact`: opens its first message in place and makes the session. The session
 * and the message are stored in one commit at `slot`, then the prekeys without the spent one (if
 * that second commit is lost, hw_session_restore() does it again).
 *
 * An envelope of another sender than `contact`, of spent prekeys, or altered, is
 * HW_STATUS_UNOPENABLE: nothing came of it.
 */
hw_status hw_session_accept(struct hw_session *session,
                            uint32_t slot,
                            struct hw_identity *identity,
                            struct hw_prekeys *prekeys,
                            const struct hw_env *env,
                            struct hw_contact *contact,
                            uint8_t *envelope,
                            size_t envelope_len,
                            struct hw_message *message);

/**
 * Bytes of the envelope that a body of `body_len` bytes becomes now: bodies are padded to one of ten
 * sizes, and first messages carry the session's start.
 */
hw_status hw_session_sealed_len(struct hw_session *session,
                                size_t body_len,
                                size_t *sealed_len);

/**
 * Seals a message (its kind, id and body) into `out`, and sets `written` to the envelope's length.
 *
 * Storage is always ahead of what leaves: about one seal in eight calls the store call-back first,
 * and where that fails `out` stays zeroed and nothing may be sent; the session goes on. With
 * HW_STATUS_BUFFER `written` says what is needed.
 */
hw_status hw_session_seal(struct hw_session *session,
                          const struct hw_env *env,
                          const struct hw_message *message,
                          uint8_t *out,
                          size_t out_size,
                          size_t *written);

/**
 * Opens an envelope in place. The state and the message go to the store call-back in one commit;
 * only after that is `message` written. Then ack the envelope.
 *
 * HW_STATUS_UNOPENABLE changes neither the session nor the envelope. HW_STATUS_STORE zeroes the
 * envelope and leaves the session HW_STATUS_STALE: do not ack, restore the session, and the relay's
 * next delivery of the same envelope opens.
 */
hw_status hw_session_open(struct hw_session *session,
                          const struct hw_env *env,
                          uint8_t *envelope,
                          size_t envelope_len,
                          struct hw_message *message);

/**
 * Says how a session stands.
 */
hw_status hw_session_inspect(struct hw_session *session, struct hw_session_info *info);

/**
 * Takes a session out of its record, which is opened and wiped in place. Messages that had left
 * since the record was written leave a gap in the numbers, which the peer bridges.
 *
 * `prekeys` may be null on a device that publishes none. Else restore them first: where a loss of
 * power came between the two records, the one-time prekey that this session spent is wiped now, and
 * the prekeys are stored.
 */
hw_status hw_session_restore(struct hw_session *session,
                             uint32_t slot,
                             struct hw_prekeys *prekeys,
                             const struct hw_env *env,
                             uint8_t *record,
                             size_t record_len);

/**
 * An orderly stop: stores the exact position, so that no number is skipped, and wipes the session in
 * RAM. Where storing fails the session is HW_STATUS_STALE: wipe it.
 */
hw_status hw_session_close(struct hw_session *session,
                           const struct hw_env *env);

/**
 * Wipes the session in RAM. The record is untouched: messages may still come for it.
 */
hw_status hw_session_wipe(struct hw_session *session);

/**
 * Begins a link to the relay whose key is pinned, and writes what to send first. `limits` is what
 * this side takes: a device may say {1400, 1382, 1}.
 *
 */
hw_status hw_link_start(struct hw_link *link,
                        const struct hw_env *env,
                        const uint8_t relay_key[HW_RELAY_KEY_LEN],
                        const struct hw_link_limits *limits,
                        uint8_t out[HW_FLIGHT_1_LEN]);

/**
 * Takes the relay's answer (the HW_FLIGHT_2_LEN bytes as they came), and writes what to send last.
 * The link is up then; `peer`, which may be null, says what the relay takes.
 *
 */
hw_status hw_link_finish(struct hw_link *link,
                         struct hw_identity *identity,
                         const uint8_t flight[HW_FLIGHT_2_LEN],
                         uint8_t out[HW_FLIGHT_3_LEN],
                         struct hw_link_limits *peer);

/**
 * Looks at the front of what was received: with HW_STATUS_OK a whole record stands there, `len`
 * bytes behind HW_HEAD_ROOM; with HW_STATUS_MORE at least `len` bytes more are needed.
 */
hw_status hw_link_next(struct hw_link *link,
                       const uint8_t *received,
                       size_t received_len,
                       size_t *len);

/**
 * Seals a record in place: `frames_len` bytes of frames stand at HW_HEAD_ROOM of `record`, with
 * HW_TAIL_ROOM behind them. `written` says how many bytes of `record` go to the relay.
 */
hw_status hw_link_seal(struct hw_link *link,
                       uint8_t *record,
                       size_t record_size,
                       size_t frames_len,
                       size_t *written);

/**
 * Opens a record in place, without the length in front of it; `frames` is then where its frames
 * stand, inside the record. After one failure the link is dead.
 */
hw_status hw_link_open(struct hw_link *link,
                       uint8_t *record,
                       size_t record_len,
                       uint8_t **frames,
                       size_t *frames_len);

/**
 * Wipes the link's keys.
 */
hw_status hw_link_wipe(struct hw_link *link);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* HUSHWIRE_H */
