//! The table at the end of a bench, and `bench-report.json` and `bench-report.html` in the target folder.
//!
//! The JSON holds one object by the name of the bench: `{ date, commit, machine, rows: [{ name, unit, ours, floor, ratio,
//! difference, target: { of, at_most | at_least }, held }] }`. A bench replaces its own object and leaves the others.
//! `floor`, `ratio` and `difference` are null where the floor is nothing, `target` and `held` where there is no target.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::measure::Pairs;
use super::{host, page};

/// Which figure of a row is to be low enough (or high enough).
#[derive(Clone, Copy, Debug)]
pub enum Target {
    Ours(f64),
    AtLeast(f64),
    Ratio(f64),
    Difference(f64),
    None,
}

#[derive(Debug)]
struct Row {
    name: String,
    unit: &'static str,
    ours: f64,
    floor: Option<f64>,
    ratio: Option<f64>,
    difference: Option<f64>,
    target: Target,
}

/// Rows of one bench.
#[derive(Debug)]
pub struct Report {
    bench: &'static str,
    rows: Vec<Row>,
}

impl Report {
    pub fn new(bench: &'static str) -> Self {
        Self { bench, rows: Vec::new() }
    }

    /// Medians of pairs. Nothing was measured where the bench was called for something else: no row then.
    pub fn pairs(&mut self, name: impl Into<String>, unit: &'static str, pairs: &Pairs, target: Target) {
        if !pairs.is_empty() {
            self.rows.push(Row {
                name: name.into(),
                unit,
                ours: pairs.ours(),
                floor: Some(pairs.floor()),
                ratio: Some(pairs.ratio()).filter(|ratio| ratio.is_finite()),
                difference: Some(pairs.difference()),
                target,
            });
        }
    }

    /// One figure that has no floor but zero.
    pub fn alone(&mut self, name: impl Into<String>, unit: &'static str, ours: f64, target: Target) {
        self.rows.push(Row {
            name: name.into(),
            unit,
            ours,
            floor: None,
            ratio: None,
            difference: None,
            target,
        });
    }

    /// One figure of ours and one of the floor.
    pub fn beside(
        &mut self,
        name: impl Into<String>,
        unit: &'static str,
        ours: f64,
        floor: f64,
        target: Target,
    ) {
        let pairs = Pairs::default();
        pairs.push(ours, floor);
        self.pairs(name, unit, &pairs, target);
    }

    /// Prints the table and writes it down.
    #[allow(clippy::print_stdout, reason = "what a bench is run for")]
    pub fn finish(self) {
        if self.rows.is_empty() {
            return;
        }
        println!("{}", self.table());
        let path = path();
        match self.write(&path) {
            Ok(()) => println!("written to {} and .html", path.display()),
            Err(error) => println!("not written to {}: {error}", path.display()),
        }
    }

    fn table(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let mut text = format!(
            "\n{:width$}  {:>10} {:>10} {:>8} {:>10}          target\n",
            self.bench, "ours", "floor", "ratio", "difference"
        );
        for row in &self.rows {
            let _ = writeln!(
                text,
                "{:width$}  {:>10} {:>10} {:>8} {:>10} {:<8} {}",
                row.name,
                number(Some(row.ours)),
                number(row.floor),
                number(row.ratio),
                number(row.difference),
                row.unit,
                row.verdict()
            );
        }
        text
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let known = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut all: Map<String, Value> = known.unwrap_or_default();
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        let (date, commit, machine) = (host::date(), host::commit(), host::machine());
        let bench = json!({ "date": date, "commit": commit, "machine": machine, "rows": rows });
        all.insert(self.bench.to_owned(), bench);
        std::fs::write(path, serde_json::to_vec_pretty(&all)?)?;
        std::fs::write(path.with_extension("html"), page::render(&all))
    }
}

impl Row {
    /// Name of the figure that counts, the figure, and its limit.
    fn target(&self) -> Option<(&'static str, f64, f64)> {
        match self.target {
            Target::Ours(limit) | Target::AtLeast(limit) => Some(("ours", self.ours, limit)),
            Target::Ratio(limit) => Some(("ratio", self.ratio?, limit)),
            Target::Difference(limit) => Some(("difference", self.difference?, limit)),
            Target::None => None,
        }
    }

    fn is_held(&self, figure: f64, limit: f64) -> bool {
        if self.wants_more() { figure >= limit } else { figure <= limit }
    }

    fn wants_more(&self) -> bool {
        matches!(self.target, Target::AtLeast(_))
    }

    fn verdict(&self) -> String {
        self.target().map_or_else(String::new, |(of, figure, limit)| {
            let sign = if self.wants_more() { ">=" } else { "<=" };
            format!("{of} {sign} {limit} {}", if self.is_held(figure, limit) { "held" } else { "MISSED" })
        })
    }

    fn json(&self) -> Value {
        let target = self.target();
        json!({
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours,
            "floor": self.floor,
            "ratio": self.ratio,
            "difference": self.difference,
            "target": target.map(|(of, _, limit)| {
                json!({ "of": of, if self.wants_more() { "at_least" } else { "at_most" }: limit })
            }),
            "held": target.map(|(_, figure, limit)| self.is_held(figure, limit)),
        })
    }
}

pub fn number(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() >= 1000.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// In the target folder.
fn path() -> PathBuf {
    super::target().join("bench-report.json")
}
