//! The committed figures that nothing may outgrow by more than 2 %.
//!
//! `cargo xtask bench device --accept` writes them anew: say why in the commit.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::figures::{Cost, Figures};
use super::probe::Image;
use crate::project;

/// Instructions that any operation may take more: ten ticks of the timer that counts them.
const TICKS: u64 = 400;
/// Hundredths that a figure may lie above its limit.
const TOLERANCE: u32 = 2;
/// The same where another compiler than the limits' has made the image: it lays out the same code
/// otherwise.
const OTHER_COMPILER: u32 = 10;

fn path() -> PathBuf {
    project::root().join("xtask/src/bench/device/limits.json")
}

/// One image's part of the file.
fn name(image: &Image) -> String {
    format!("{}, {}", image.profile.name, image.backend)
}

/// Makes the figures the limits.
pub(super) fn write(all: &[Figures], compiler: &str) -> Result<()> {
    let costs = |of: &Figures| -> BTreeMap<String, Value> {
        let values = of.costs.iter().map(|(operation, cost)| {
            let value = json!({ "instructions": cost.instructions, "stack": cost.stack });
            (operation.clone(), value)
        });
        values.collect()
    };
    let images: BTreeMap<_, _> = all.iter().map(|of| (name(of.image), costs(of))).collect();
    let file = json!({ "compiler": compiler, "images": images });
    std::fs::write(path(), format!("{file:#}\n")).context("cannot write the limits")
}

/// Holds an image's figures against its limits.
pub(super) fn hold(image: &Image, all: &[Figures], compiler: &str) -> Result<String> {
    let text = std::fs::read_to_string(path()).context("cannot read the limits")?;
    let file: Value = serde_json::from_str(&text).context("cannot understand the limits")?;
    let of = all
        .iter()
        .find(|of| std::ptr::eq(of.image, image))
        .context("not measured")?;
    let same = file["compiler"] == compiler;
    let tolerance = if same { TOLERANCE } else { OTHER_COMPILER };
    compare(&of.costs, &file["images"][name(image)], tolerance)?;
    Ok(match same {
        true => format!("{} operations", of.len()),
        false => format!("{} operations; other compiler: {tolerance} %", of.len()),
    })
}

fn compare(costs: &[(String, Cost)], limits: &Value, tolerance: u32) -> Result<()> {
    let Value::Object(limits) = limits else {
        bail!("the image has no limits; `cargo xtask bench device --accept` writes them");
    };
    let mut grown = Vec::new();
    for (operation, cost) in costs {
        let limit = limits.get(operation).with_context(|| {
            format!("{operation} has no limit; `cargo xtask bench device --accept` writes it")
        })?;
        for (unit, value) in [("instructions", cost.instructions), ("stack", cost.stack)] {
            let limit = limit[unit].as_u64().context("a limit is a number")?;
            let least = if unit == "stack" { 0 } else { TICKS };
            let more = (limit * u64::from(tolerance) / 100).max(least);
            if u64::from(value) > limit + more {
                grown.push(format!(
                    "{operation}: {value} {unit}, and the limit is {limit}"
                ));
            }
        }
    }
    ensure!(
        limits.len() == costs.len(),
        "{} operations have limits and {} were measured",
        limits.len(),
        costs.len()
    );
    ensure!(
        grown.is_empty(),
        "grown by more than {tolerance} %:\n{}",
        grown.join("\n")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(instructions: u32, stack: u32) -> Vec<(String, Cost)> {
        let cost = Cost {
            instructions,
            stack,
        };
        vec![("seal".to_owned(), cost)]
    }

    #[test]
    fn two_in_a_hundred_may_be_more() {
        let limits = json!({ "seal": { "instructions": 100_000, "stack": 100 } });
        assert!(compare(&costs(102_000, 102), &limits, 2).is_ok());
        assert!(compare(&costs(102_001, 102), &limits, 2).is_err());
        assert!(compare(&costs(102_000, 103), &limits, 2).is_err());
        assert!(compare(&costs(1, 1), &limits, 2).is_ok());
        let small = json!({ "seal": { "instructions": 320, "stack": 100 } });
        assert!(compare(&costs(720, 100), &small, 2).is_ok());
        assert!(compare(&costs(721, 100), &small, 2).is_err());
    }

    #[test]
    fn nothing_is_without_a_limit_and_no_limit_without_a_figure() {
        assert!(compare(&costs(1, 1), &json!({}), 2).is_err());
        assert!(compare(&costs(1, 1), &Value::Null, 2).is_err());
        let more = json!({
            "seal": { "instructions": 1, "stack": 1 },
            "open": { "instructions": 1, "stack": 1 },
        });
        assert!(compare(&costs(1, 1), &more, 2).is_err());
    }
}
