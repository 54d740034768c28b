//! Draws a session as SVG: the link, its estimate, the variant, the buffer and the stalls over time.

use std::fmt::Write as _;

/// Points of a line: seconds from the start, and a value.
pub(crate) type Line = Vec<(f64, f64)>;

/// A session to draw. Rates are kbit/s.
#[derive(Debug, Default)]
pub(crate) struct Plot {
    pub(crate) title: String,
    /// Length of the time axis in seconds.
    pub(crate) seconds: f64,
    /// Bandwidth of the link; each value holds until the next point.
    pub(crate) link: Line,
    /// Estimated throughput at each decision.
    pub(crate) estimate: Line,
    /// Bitrate played; each value holds until the next point.
    pub(crate) variant: Line,
    /// Bitrates of the ladder, drawn as faint lines.
    pub(crate) ladder: Vec<f64>,
    /// Buffered seconds.
    pub(crate) buffer: Line,
    /// Stalls: begin and duration in seconds.
    pub(crate) stalls: Line,
}

const WIDTH: f64 = 960.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
/// Top and height of the two panels.
const RATES: (f64, f64) = (64.0, 240.0);
const BUFFER: (f64, f64) = (344.0, 110.0);
const HEIGHT: f64 = 500.0;
/// More points than this would not be seen.
const MAX_POINTS: usize = 4000;

const LINK: &str = "#b8c4d0";
const ESTIMATE: &str = "#d98e04";
const VARIANT: &str = "#0b5cad";
const FILL: &str = "#5b9a68";
const STALL: &str = "#d43f3a";

/// Maps a panel's values to places.
#[derive(Clone, Copy)]
struct Axis {
    panel: (f64, f64),
    seconds: f64,
    top: f64,
}

impl Axis {
    fn x(self, seconds: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (seconds / self.seconds).clamp(0.0, 1.0)
    }

    fn y(self, value: f64) -> f64 {
        self.panel.0 + self.panel.1 * (1.0 - (value / self.top).clamp(0.0, 1.0))
    }

    fn path(self, line: &Line, steps: bool) -> String {
        let mut path = String::new();
        let every = line.len().div_ceil(MAX_POINTS).max(1);
        for (index, (seconds, value)) in line.iter().step_by(every).enumerate() {
            let (x, y) = (self.x(*seconds), self.y(*value));
            let _ = match (index, steps) {
                (0, _) => write!(path, "M{x:.1} {y:.1}"),
                (_, true) => write!(path, "H{x:.1}V{y:.1}"),
                (_, false) => write!(path, "L{x:.1} {y:.1}"),
            };
        }
        if steps && !line.is_empty() {
            let _ = write!(path, "H{:.1}", self.x(self.seconds));
        }
        path
    }
}

impl Plot {
    /// The picture as an SVG document.
    pub(crate) fn svg(&self) -> String {
        let seconds = self.seconds.max(1.0);
        let rates = Axis { panel: RATES, seconds, top: self.top_rate() };
        let most = self.buffer.iter().map(|point| point.1).fold(1.0, f64::max);
        let buffer = Axis { panel: BUFFER, seconds, top: round_up(most) };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{}</text>\n",
            escape(&self.title)
        );
        self.stall_bands(&mut svg, rates);
        grid(&mut svg, rates, "kbit/s");
        grid(&mut svg, buffer, "s buffered");
        for bitrate in &self.ladder {
            let y = rates.y(*bitrate);
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"{VARIANT}\" stroke-opacity=\".25\" stroke-dasharray=\"2 4\"/>",
                WIDTH - RIGHT
            );
        }
        line(&mut svg, &rates.path(&self.link, true), LINK, 1.5);
        line(&mut svg, &rates.path(&self.estimate, false), ESTIMATE, 1.5);
        line(&mut svg, &rates.path(&self.variant, true), VARIANT, 2.5);
        line(&mut svg, &buffer.path(&self.buffer, false), FILL, 1.5);
        time_axis(&mut svg, buffer);
        legend(&mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    /// The rates' scale: what is played and estimated fits; a link far above it is cut off.
    fn top_rate(&self) -> f64 {
        let most = |line: &Line| line.iter().map(|point| point.1).fold(0.0, f64::max);
        let played = most(&self.variant).max(self.ladder.iter().copied().fold(0.0, f64::max));
        round_up(most(&self.link).max(most(&self.estimate)).min(played.max(1.0) * 3.0).max(played * 1.1))
    }

    fn stall_bands(&self, svg: &mut String, axis: Axis) {
        for (at, duration) in &self.stalls {
            let (from, to) = (axis.x(*at), axis.x(at + duration));
            let _ = writeln!(
                svg,
                "<rect x=\"{from:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" fill=\"{STALL}\" fill-opacity=\".25\"/>",
                RATES.0,
                (to - from).max(1.5),
                BUFFER.0 + BUFFER.1 - RATES.0
            );
        }
    }
}

fn line(svg: &mut String, path: &str, colour: &str, width: f64) {
    if !path.is_empty() {
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"/>"
        );
    }
}

fn grid(svg: &mut String, axis: Axis, unit: &str) {
    let (top, height) = axis.panel;
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.1}\" fill=\"#777\">{unit}</text>", top - 8.0);
    for quarter in 0..=4 {
        let value = axis.top * f64::from(quarter) / 4.0;
        let y = top + height - height * f64::from(quarter) / 4.0;
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"#e4e4e4\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#777\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0,
            short(value)
        );
    }
}

fn time_axis(svg: &mut String, axis: Axis) {
    let step = round_up(axis.seconds / 8.0);
    let mut at = 0.0;
    while at <= axis.seconds {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#777\">{} s</text>",
            axis.x(at),
            BUFFER.0 + BUFFER.1 + 18.0,
            short(at)
        );
        at += step;
    }
}

fn legend(svg: &mut String) {
    let entries =
        [("link", LINK), ("estimate", ESTIMATE), ("variant", VARIANT), ("buffer", FILL), ("stall", STALL)];
    for (index, (name, colour)) in entries.into_iter().enumerate() {
        let x = LEFT + index as f64 * 90.0;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/><text x=\"{}\" y=\"{}\">{name}</text>",
            HEIGHT - 14.0,
            x + 20.0,
            HEIGHT - 8.0
        );
    }
}

/// The next of 1, 2, 2.5, 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|step| *step >= value * 0.999_999).unwrap_or(value)
}

/// A number without needless zeros.
fn short(value: f64) -> String {
    if value >= 100.0 || value.fract().abs() < 1e-9 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_draws_each_series_and_escapes_its_title() {
        let plot = Plot {
            title: "a <b> & c".into(),
            seconds: 60.0,
            link: vec![(0.0, 500.0), (30.0, 0.0)],
            estimate: vec![(1.0, 400.0), (31.0, 200.0)],
            variant: vec![(0.0, 66.0), (6.0, 270.0)],
            ladder: vec![66.0, 270.0],
            buffer: vec![(0.0, 0.0), (30.0, 24.0)],
            stalls: vec![(40.0, 5.0)],
        };
        let svg = plot.svg();
        assert!(svg.contains("a &lt;b&gt; &amp; c"));
        for colour in [LINK, ESTIMATE, VARIANT, FILL, STALL] {
            assert!(svg.matches(colour).count() >= 2, "{colour}: once in the legend, once drawn");
        }
        assert!(svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn an_empty_session_is_an_empty_picture() {
        let svg = Plot::default().svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn scales_end_at_round_numbers() {
        assert_eq!([0.0, 0.9, 1.1, 23.0, 989.0].map(round_up), [1.0, 1.0, 2.0, 25.0, 1000.0]);
    }
}
