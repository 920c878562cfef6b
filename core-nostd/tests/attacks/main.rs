//! The attacks of the rows A2 to A32, one module each. One binary: what they have in common is compiled
//! once.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/link.rs"]
mod link;
#[path = "../common/objects.rs"]
mod objects;

mod a11_one_failure;
mod a16_version_or_suite;
mod a17_objects_confused;
mod a21_buckets;
mod a23_invalid_curve;
mod a24_reflected;
mod a25_evil_first_message;
mod a26_link_man_in_the_middle;
mod a27_prekeys_not_burned;
mod a28_poison;
mod a29_relabelled;
mod a2_prekeys_swapped;
mod a30_replayed_start;
mod a31_restarts_bounded;
mod a32_bundle_rolled_back;
mod a3_prekeys_misattributed;
mod a4_misbinding;
mod a5_replay_reorder;
mod a6_withheld;
