//! The boards, one file each; a feature chooses one.
