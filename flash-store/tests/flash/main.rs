//! The store on flash, row by row. One binary: what they have in common is compiled once.

#[path = "../common/mod.rs"]
mod common;

mod conversation;
mod f1_model;
mod f1_power_cut;
mod f2_persist_before_send;
mod f3_spent_secrets;
mod f4_any_image;
mod f5_older_image;
mod f9_wear;
mod format_1;
mod whole;
