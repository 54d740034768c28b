//! The page that shows what the benches wrote down: one table of bars for each bench, without any script.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Width of a bar's drawing, in pixels.
const WIDTH: f64 = 320.0;

const STYLE: &str = "body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1d2733}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}p{color:#5a6673}\
table{border-collapse:collapse;width:100%}td,th{padding:.22rem .5rem;border-bottom:1px solid #e4e8ec;text-align:left}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
.held{color:#19733c}.missed{color:#b3261e;font-weight:600}svg{display:block}";

/// The whole page.
pub fn render(benches: &Map<String, Value>) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Kithara: benches</title>\n\
         <style>{STYLE}</style></head><body>\n<h1>Kithara: benches</h1>\n\
         <p>Bars: <span style=\"color:#2f6fb2\">&#9632;</span> ours, <span style=\"color:#b9c2cc\">&#9632;</span> the floor \
         of the same run, <span style=\"color:#b3261e\">|</span> the target. Each bench replaces its own table.</p>\n"
    );
    for (name, bench) in benches {
        section(&mut page, name, bench);
    }
    page.push_str("</body></html>\n");
    page
}

fn section(page: &mut String, name: &str, bench: &Value) {
    let text = |field: &str| escaped(bench[field].as_str().unwrap_or("?"));
    let _ = writeln!(
        page,
        "<h2>{}</h2>\n<p>{} &middot; commit {} &middot; {}</p>\n<table><tr><th>row</th><th class=\"n\">ours</th>\
         <th class=\"n\">floor</th><th class=\"n\">ratio</th><th class=\"n\">difference</th><th>unit</th>\
         <th>target</th><th></th></tr>",
        escaped(name),
        text("date"),
        text("commit"),
        text("machine"),
    );
    for row in bench["rows"].as_array().into_iter().flatten() {
        let figure = |field: &str| row[field].as_f64();
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(row["name"].as_str().unwrap_or("?")),
            super::report::number(figure("ours")),
            super::report::number(figure("floor")),
            super::report::number(figure("ratio")),
            super::report::number(figure("difference")),
            escaped(row["unit"].as_str().unwrap_or("")),
            verdict(row),
            bar(row),
        );
    }
    page.push_str("</table>\n");
}

fn verdict(row: &Value) -> String {
    let Some(held) = row["held"].as_bool() else { return String::new() };
    let target = &row["target"];
    let (class, word) = if held { ("held", "held") } else { ("missed", "missed") };
    let sign = if target["at_least"].is_null() { "&le;" } else { "&ge;" };
    let limit = target["at_most"].as_f64().or_else(|| target["at_least"].as_f64()).unwrap_or(f64::NAN);
    let of = escaped(target["of"].as_str().unwrap_or("?"));
    format!("<span class=\"{class}\">{of} {sign} {limit} {word}</span>")
}

/// Ours above the floor, and where the target lies.
fn bar(row: &Value) -> String {
    let (ours, floor) = (row["ours"].as_f64().unwrap_or(0.0), row["floor"].as_f64().unwrap_or(0.0));
    let target = limit_in_figure(row);
    let most = [ours, floor, target.unwrap_or(0.0)].into_iter().fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    let scaled = |value: f64| value / most * WIDTH;
    let mut svg = format!(
        "<svg width=\"{0}\" height=\"18\"><rect width=\"{1:.1}\" height=\"9\" fill=\"#2f6fb2\"/>\
         <rect y=\"10\" width=\"{2:.1}\" height=\"6\" fill=\"#b9c2cc\"/>",
        WIDTH + 2.0,
        scaled(ours),
        scaled(floor),
    );
    if let Some(target) = target {
        let _ = write!(svg, "<rect x=\"{:.1}\" width=\"2\" height=\"18\" fill=\"#b3261e\"/>", scaled(target));
    }
    svg.push_str("</svg>");
    svg
}

/// The target as a value of the row's own figure.
fn limit_in_figure(row: &Value) -> Option<f64> {
    let target = &row["target"];
    let limit = target["at_most"].as_f64().or_else(|| target["at_least"].as_f64())?;
    match target["of"].as_str()? {
        "ratio" => Some(limit * row["floor"].as_f64()?),
        "difference" => Some(limit + row["floor"].as_f64()?),
        _ => Some(limit),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
