//! The worked transcript of `docs/PROTOCOL.md`.
//!
//! A second implementation of the protocol, written from that document alone, over raw primitives.
//! It trades everything for being read beside the document: no state is protected, nothing is
//! constant-time, a refusal is a panic. Its use is the files that it writes, which a test replays
//! through `hushwire-core` byte by byte.
//!
//! ```text
//! script ──> identity ──> bundle ──> start ──> ratchet ──> record      secrets and bytes
//!                └──────> link                                          of each section
//!                             └────────┬────────┘
//!                                    json ──> docs/vectors/*.json
//! ```

mod bundle;
mod conversation;
mod frames;
mod identity;
mod json;
mod link;
mod primitives;
mod ratchet;
mod record;
mod script;
mod snapshot;
mod start;

/// Every file of `docs/vectors` that is generated: name and contents.
#[must_use]
pub fn files() -> Vec<(&'static str, String)> {
    vec![
        ("identity.json", identity::file()),
        ("bundle.json", bundle::file()),
        ("link.json", link::file()),
        ("frames.json", frames::file()),
        ("start.json", start::file(true)),
        ("start-without.json", start::file(false)),
        ("conversation.json", conversation::file()),
        ("record.json", record::file()),
    ]
}
