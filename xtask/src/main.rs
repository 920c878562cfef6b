//! Build, test and measure Hushwire.

fn main() {}
