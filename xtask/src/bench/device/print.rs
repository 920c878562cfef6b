//! The report, for people and for programs.

use serde_json::{Value, json};

use super::aims::AIMS;
use super::figures::Figures;
use super::probe::{ASSEMBLY, PORTABLE, SIZE, SPEED};
use crate::toolchain::Embedded;

const UNIT: &str = "instructions of a Cortex-M4, counted by QEMU (not cycles), exact to 40";

/// Tables for people: one for each profile, then the aims.
pub(super) fn tables(all: &[Figures], toolchain: &Embedded) {
    println!("{UNIT};\npeak stack in bytes below the caller, by painting.");
    println!("({})", toolchain.describe());
    for profile in [&SPEED, &SIZE] {
        let find = |backend| {
            all.iter()
                .find(|of| of.image.profile.name == profile.name && of.image.backend == backend)
        };
        let (Some(portable), Some(assembly)) = (find(PORTABLE), find(ASSEMBLY)) else {
            continue;
        };
        println!("\n{}: {}", profile.name, profile.holds);
        println!(
            "  {:<26} {:>12} {:>12} {:>9} {:>9}",
            "", PORTABLE, ASSEMBLY, "stack", "stack"
        );
        for (operation, cost) in &portable.costs {
            let Some(other) = assembly.of(operation) else {
                continue;
            };
            println!(
                "  {:<26} {:>12} {:>12} {:>9} {:>9}",
                operation.replace('_', " "),
                grouped(cost.instructions),
                grouped(other.instructions),
                grouped(cost.stack),
                grouped(other.stack)
            );
        }
    }
    println!("\nAims (opt-level 3 where nothing else is said):");
    for aim in &AIMS {
        let Some(value) = aim.value(all) else {
            continue;
        };
        println!(
            "  {:<40} {:>12} of {:>12} {:<12}  {}",
            aim.what,
            grouped(value),
            grouped(aim.most),
            aim.unit,
            if value <= aim.most { "met" } else { "MISSED" }
        );
    }
}

/// 1234567 -> 1,234,567
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// One object for programs.
pub(super) fn json(all: &[Figures], toolchain: &Embedded) -> Value {
    let images: Vec<_> = all
        .iter()
        .map(|of| {
            let operations: serde_json::Map<_, _> = of
                .costs
                .iter()
                .map(|(operation, cost)| {
                    let cost = json!({
                        "instructions": cost.instructions,
                        "peak_stack_bytes": cost.stack,
                    });
                    (operation.clone(), cost)
                })
                .collect();
            json!({
                "profile": of.image.profile.name,
                "compiled": of.image.profile.holds,
                "p256": of.image.backend,
                "operations": operations,
            })
        })
        .collect();
    let aims: Vec<_> = AIMS
        .iter()
        .map(|aim| {
            let value = aim.value(all);
            json!({
                "what": aim.what,
                "unit": aim.unit,
                "aim": aim.most,
                "value": value,
                "met": value.is_some_and(|value| value <= aim.most),
            })
        })
        .collect();
    json!({
        "unit": UNIT,
        "target": "thumbv7em-none-eabihf, QEMU mps2-an386",
        "toolchain": toolchain.describe(),
        "images": images,
        "aims": aims,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_threes() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(50_424_200), "50,424,200");
    }
}
