//! How many tests a runner says that it ran.

use crate::report::Counts;

/// Adds up the closing lines of `cargo test`, one per test binary.
pub(crate) fn of_cargo_test(text: &str) -> Counts {
    let mut sum = Counts::default();
    for line in text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("test result: "))
    {
        for part in line.split([';', '.']) {
            add(&mut sum, part);
        }
    }
    sum
}

/// Reads the summary of `cargo nextest run`.
pub(super) fn of_nextest(text: &str) -> Counts {
    let mut sum = Counts::default();
    let summary = text
        .lines()
        .rfind(|line| line.trim_start().starts_with("Summary ["));
    if let Some((_, parts)) = summary.and_then(|line| line.split_once("run: ")) {
        for part in parts.split(',') {
            add(&mut sum, part);
        }
    }
    sum
}

/// Adds a part such as `3 passed`, `1 failed` or `2 passed (1 slow)`.
fn add(sum: &mut Counts, part: &str) {
    let Some((number, what)) = part.trim().split_once(' ') else {
        return;
    };
    let Ok(number) = number.parse::<u64>() else {
        return;
    };
    if what.starts_with("passed") {
        sum.passed += number;
    } else if ["failed", "timed out", "exec failed"]
        .iter()
        .any(|word| what.starts_with(word))
    {
        sum.failed += number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_test_lines_add_up() {
        let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                    test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered";
        assert_eq!(
            of_cargo_test(text),
            Counts {
                passed: 5,
                failed: 1
            }
        );
        assert_eq!(of_cargo_test("error: could not compile"), Counts::default());
    }

    #[test]
    fn nextest_summaries_are_read() {
        let good = "     Summary [   0.012s] 5 tests run: 5 passed (1 slow), 2 skipped";
        assert_eq!(
            of_nextest(good),
            Counts {
                passed: 5,
                failed: 0
            }
        );
        let bad = "     Summary [  9.0s] 6/7 tests run: 3 passed, 2 failed, 1 timed out, 1 skipped";
        assert_eq!(
            of_nextest(bad),
            Counts {
                passed: 3,
                failed: 3
            }
        );
        let one = "     Summary [   0.012s] 1 test run: 1 passed, 0 skipped";
        assert_eq!(
            of_nextest(one),
            Counts {
                passed: 1,
                failed: 0
            }
        );
    }
}
