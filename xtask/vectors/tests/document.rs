//! The document, the files and the code say the same.

use std::{collections::BTreeSet, fs, path::Path};

use hushwire_core::{limits, link, snapshot, wire};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows of a section's first table whose first cell begins so: cells without back-ticks.
fn rows(section: &str, begins: &str) -> Vec<Vec<String>> {
    let document = read("docs/PROTOCOL.md");
    let (_, rest) = document
        .split_once(&format!("\n## {section}"))
        .expect("the section");
    let rest = rest.split("\n## ").next().unwrap_or_default();
    let lines = rest.lines().filter(|line| line.starts_with('|'));
    let cells = lines.map(|line| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    });
    cells.filter(|row| row[0].starts_with(begins)).collect()
}

#[test]
fn regenerated_files_are_the_same() {
    let mut names = BTreeSet::from(["README.md".to_owned()]);
    for (name, text) in vectors::files() {
        let stored = read(&format!("docs/vectors/{name}"));
        assert!(stored == text, "{name} is stale: run cargo xtask vectors");
        names.insert(name.to_owned());
    }
    let folder = fs::read_dir(root().join("docs/vectors")).unwrap();
    let there = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(there.collect::<BTreeSet<_>>(), names);
}

/// Name and value of each constant.
macro_rules! constants {
    ($($name:ident)+) => { [$((stringify!($name), u128::try_from(limits::$name).unwrap())),+] };
}

#[test]
fn the_table_of_limits_is_that_of_the_code() {
    let mut code: Vec<(String, String)> = constants! {
        MAX_JUMP RESERVE DEVICE_MAX_SKIP HOST_MAX_SKIP BASE_BODY MAX_BODY MAX_ENVELOPE
        UNOPENED_BEFORE_RESTART REFUSED_BEFORE_RESTART RESTART_INTERVAL_MS RESEAL_MS SILENCE_MS
        OVERTAKEN_MS ANSWER_MS BACK_OFF_MS NO_BUNDLE_MS REFILL_INTERVAL_MS MAX_ATTEMPTS MAX_IN_FLIGHT
        MAX_LINKS MAX_FETCHES HOST_QUEUE DEVICE_QUEUE MAX_WINDOW REPLAY_MEMORY SIGNED_PREKEY_PERIOD_MS SIGNED_PREKEY_STARTS MIN_LINK_FRAME
        UNBELIEVABLE_COUNTER MAX_SUITES
    }
    .map(|(name, value)| (name.to_owned(), value.to_string()))
    .to_vec();
    let buckets = limits::BUCKETS.map(|bucket| bucket.to_string());
    code.push(("BUCKETS".to_owned(), buckets.join(", ")));
    code.sort();

    // Every constant of the file is in the list above.
    let source = read("core-nostd/src/limits.rs");
    let declared = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "));
    let declared = declared.map(|rest| rest.split(':').next().unwrap_or_default());
    let listed: BTreeSet<_> = code.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(declared.collect::<BTreeSet<_>>(), listed);

    let mut document: Vec<_> = rows("9 Limits", "`")
        .into_iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone()))
        .collect();
    document.sort();
    assert_eq!(document, code);
}

#[test]
fn the_table_of_sizes_is_that_of_the_code() {
    let code = [
        ("message, longer than its bucket", wire::envelope::OVERHEAD),
        (
            "start, longer than its bucket",
            wire::envelope::OVERHEAD + wire::envelope::START_LEN,
        ),
        ("bundle with suite `01` alone", wire::bundle::len(1)),
        ("largest bundle", wire::bundle::MAX_LEN),
        ("client's first flight", link::FLIGHT_1_LEN),
        ("relay's flight", link::FLIGHT_2_LEN),
        ("client's last flight", link::FLIGHT_3_LEN),
        (
            "record, longer than its frames",
            link::HEAD_ROOM + link::TAIL_ROOM,
        ),
        (
            "record at rest, longer than its contents",
            snapshot::OVERHEAD,
        ),
    ];
    for (what, bytes) in code {
        let row = rows("9 Limits", what);
        assert_eq!(row, [[what.to_owned(), bytes.to_string()]], "{what}");
    }
}

/// `"hushwire …"` texts of a file.
fn labels(text: &str) -> BTreeSet<String> {
    let texts = text.split('"').skip(1).step_by(2);
    texts
        .filter(|text| text.starts_with("hushwire "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_table_of_labels_is_that_of_the_code() {
    let table: String = rows("1 Conventions", "`\"").into_iter().flatten().collect();
    assert_eq!(
        labels(&table),
        labels(&read("core-nostd/src/crypto/kdf.rs"))
    );
}

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(fs::read_to_string(&path).unwrap());
        }
    }
}

/// The numbers behind each `PROTOCOL`: `2.1`, `5.5, 5.6`, `3.1 to 3.4`.
fn references(text: &str) -> Vec<String> {
    let mut numbers = Vec::new();
    for rest in text.split("PROTOCOL ").skip(1) {
        for word in rest.replace([',', ')'], " ").split_whitespace() {
            let number = word.trim_end_matches(['.', ':', ';', '"', '`']);
            let numeric = number
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
            match numeric && !number.is_empty() {
                true => numbers.push(number.to_owned()),
                false if word == "to" || word == "and" => {}
                false => break,
            }
        }
    }
    numbers
}

#[test]
fn every_reference_is_a_section() {
    let document = read("docs/PROTOCOL.md");
    let headings = document.lines().filter_map(|line| line.strip_prefix("##"));
    let headings = headings.filter_map(|line| line.trim_matches(['#', ' ']).split(' ').next());
    let headings: BTreeSet<_> = headings.map(str::to_owned).collect();
    assert!(headings.contains("6.6") && headings.contains("10"));

    let mut found = Vec::new();
    for folder in [
        "core-nostd",
        "host-relay",
        "host-client",
        "websocket-stream",
        "xtask",
    ] {
        sources(&root().join(folder), &mut found);
    }
    let references: BTreeSet<_> = found.iter().flat_map(|text| references(text)).collect();
    assert!(references.len() > 20, "{references:?}");
    let missing: Vec<_> = references.difference(&headings).collect();
    assert!(missing.is_empty(), "no such section: {missing:?}");
}
