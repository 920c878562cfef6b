//! PROTOCOL 3.5, 3.6: the tables of numbers are the core's.

use hushwire_core::wire::{
    WireError,
    answer::{Answer, NoticeKind},
    reason::Reason,
    request::Request,
};

const DOCUMENT: &str = include_str!("../../../../docs/PROTOCOL.md");

/// The tables of the document name these opcodes, kinds and reasons, and no others.
#[test]
fn numbers_of_the_document() {
    let between = |from: &str, to: &str| {
        let rest = DOCUMENT.split_once(from).unwrap().1;
        rest.split_once(to).unwrap().0.to_owned()
    };
    let first_cells = |text: String| -> Vec<u8> {
        let rows = text
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .map(str::to_owned);
        let numbers = rows.map(|row| u8::from_str_radix(&row[..2], 16).unwrap());
        numbers.collect()
    };
    let requests = first_cells(between("\n### 3.5", "\n### 3.6"));
    let answers = first_cells(between("\n### 3.6", "\nReasons:"));
    let reasons = first_cells(between("\nReasons:", "\nNotices:"));
    let notices = first_cells(between("\nNotices:", "\n### 3.7"));
    let long = |frame: u8| [&[frame][..], &[0; 200]].concat();
    for opcode in 0..=u8::MAX {
        let frame = long(opcode);
        let (request, answer) = (Request::parse(&frame), Answer::parse(&frame));
        let unknown = WireError::Unknown;
        assert_eq!(
            requests.contains(&opcode),
            request != Err(unknown),
            "{opcode:02x}"
        );
        assert_eq!(
            answers.contains(&opcode),
            answer != Err(unknown),
            "{opcode:02x}"
        );
        assert_eq!(
            reasons.contains(&opcode),
            Reason::from_byte(opcode).is_some(),
            "{opcode:02x}"
        );
        assert_eq!(
            notices.contains(&opcode),
            NoticeKind::from_byte(opcode).is_ok(),
            "{opcode:02x}"
        );
    }
}

/// Each reason's "passing" is that of the core.
#[test]
fn passing_reasons_of_the_document() {
    let table = DOCUMENT.split_once("\nReasons:").unwrap().1;
    let table = table.split_once("\nNotices:").unwrap().0;
    let mut count = 0;
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let code = u8::from_str_radix(cells[1].trim_matches('`'), 16).unwrap();
        let passing = Reason::from_byte(code).unwrap().is_passing();
        assert_eq!(passing, cells[3] == "yes", "{row}");
        count += 1;
    }
    assert_eq!(count, 14);
}
