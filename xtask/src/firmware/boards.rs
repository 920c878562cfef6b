//! The boards that the firmware is built for.

/// A board: a feature of the firmware's, and how an image comes to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Board {
    /// Its name, which is also the feature's.
    pub(crate) name: &'static str,
    /// What its processor is to the compiler.
    pub(crate) target: &'static str,
    /// What its chip is to probe-rs; none for a board that only QEMU has.
    pub(crate) chip: Option<&'static str>,
}

/// The board that QEMU has.
pub(crate) const QEMU: Board = Board {
    name: "mps2-an386",
    target: "thumbv7em-none-eabihf",
    chip: None,
};

/// All of them. A further one is a line here; docs/PORTING.md tells the rest.
pub(crate) const BOARDS: [Board; 3] = [
    QEMU,
    Board {
        name: "nucleo-h563zi",
        target: "thumbv8m.main-none-eabihf",
        chip: Some("STM32H563ZITx"),
    },
    Board {
        name: "w5500-evb-pico2",
        target: "thumbv8m.main-none-eabihf",
        chip: Some("RP235x"),
    },
];

/// A board by its name.
pub(crate) fn parse(name: &str) -> Result<Board, String> {
    let found = BOARDS.into_iter().find(|board| board.name == name);
    found.ok_or_else(|| {
        let names = BOARDS.map(|board| board.name).join(", ");
        format!("the boards are {names}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_are_found_by_name_and_others_are_told() {
        assert!(BOARDS.iter().all(|board| parse(board.name).is_ok()));
        assert!(parse("teapot").is_err_and(|said| said.contains("mps2-an386")));
    }

    #[test]
    fn each_board_is_a_feature_with_a_memory_map() {
        let folder = crate::project::root().join("firmware-example");
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
        for board in BOARDS {
            assert!(manifest.contains(&format!("\n{} = [", board.name)));
            assert!(folder.join(format!("memory/{}.x", board.name)).is_file());
        }
    }
}
