//! Every figure is taken several times, and all figures in turn: what else the machine does meanwhile then
//! meets all of them.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

/// One way to take a figure.
pub(super) struct Figure<'a> {
    pub(super) name: String,
    take: Box<dyn Fn() -> Result<Value> + 'a>,
}

impl<'a> Figure<'a> {
    pub(super) fn new(name: impl Into<String>, take: impl Fn() -> Result<Value> + 'a) -> Self {
        Self {
            name: name.into(),
            take: Box::new(take),
        }
    }
}

/// The figures by their names: the median of each, with the least and the most of what `RANGED` names.
pub(super) fn all(figures: &[Figure<'_>], rounds: usize) -> Result<Map<String, Value>> {
    let mut taken = vec![Vec::new(); figures.len()];
    for round in 1..=rounds {
        for (figure, taken) in figures.iter().zip(&mut taken) {
            let name = &figure.name;
            let value = (figure.take)().with_context(|| format!("no figures of {name}"))?;
            eprintln!("measured: {name}, {round} of {rounds}");
            taken.push(value);
        }
    }
    let named = figures.iter().map(|figure| figure.name.clone());
    Ok(named
        .zip(taken.iter().map(|taken| summary(taken)))
        .collect())
}

/// What is given with its range.
const RANGED: [&str; 3] = ["/per_second", "/delivery_us/p99", "/accepted_us/p99"];

fn summary(taken: &[Value]) -> Value {
    let mut summary = median(taken.iter().collect());
    let mut ranges = Map::new();
    for pointer in RANGED {
        let found = taken
            .iter()
            .filter_map(|one| one.pointer(pointer)?.as_f64());
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for one in found {
            (least, most) = (least.min(one), most.max(one));
        }
        if least <= most {
            ranges.insert(pointer.to_owned(), json!([least, most]));
        }
    }
    summary["rounds"] = taken.len().into();
    summary["ranges"] = ranges.into();
    summary
}

/// Number by number; what is no number is the first one's.
fn median(mut of: Vec<&Value>) -> Value {
    match of.first() {
        Some(Value::Number(_)) => {
            let number = |value: &&Value| value.as_f64().unwrap_or(f64::NAN);
            of.sort_by(|one, other| number(one).total_cmp(&number(other)));
            let middle = of.len() / 2;
            match of.len().is_multiple_of(2) {
                true => json!((number(&of[middle - 1]) + number(&of[middle])) / 2.0),
                false => of[middle].clone(),
            }
        }
        Some(Value::Object(parts)) => {
            let part = |name: &String| of.iter().filter_map(|one| one.get(name)).collect();
            let parts = parts.keys().map(|name| (name.clone(), median(part(name))));
            Value::Object(parts.collect())
        }
        Some(Value::Array(list)) => {
            let place = |at: usize| of.iter().filter_map(|one| one.get(at)).collect();
            Value::Array((0..list.len()).map(|at| median(place(at))).collect())
        }
        first => first.map_or(Value::Null, |first| (*first).clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_each_and_the_range() {
        let one = |rate: u64, p99: u64| json!({"per_second": rate, "delivery_us": {"p99": p99}, "of": [rate, "x"]});
        let summary = summary(&[one(3, 90), one(1, 70), one(2, 80)]);
        assert_eq!(summary["per_second"], 2);
        assert_eq!(summary["delivery_us"]["p99"], 80);
        assert_eq!(summary["of"], json!([2, "x"]));
        let of_two = super::summary(&[one(3, 90), one(1, 70)]);
        assert_eq!(of_two["per_second"], 2.0);
        assert_eq!(summary["ranges"]["/per_second"], json!([1.0, 3.0]));
        assert_eq!(summary["ranges"]["/delivery_us/p99"], json!([70.0, 90.0]));
    }
}
