//! The program itself, started, killed and stopped like an operator's.

#[path = "../support/mod.rs"]
mod support;

mod crash;
mod operate;
mod process;
mod repair;
mod start;
mod tools;
