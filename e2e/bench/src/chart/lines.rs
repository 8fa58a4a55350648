//! Lines over two logarithmic axes.

use std::fmt::Write;

use super::{escape, head, short};

pub(super) struct Lines {
    pub(super) title: &'static str,
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    pub(super) lines: Vec<Line>,
    /// A point to show, and what to write at it.
    pub(super) mark: Option<(f64, f64, String)>,
}

pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) class: &'static str,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 72.0;
const BOTTOM: f64 = 64.0;
/// The least distance between the names at the lines' ends.
const GAP: f64 = 17.0;

/// A logarithmic axis from one power of ten to another.
#[derive(Clone, Copy)]
struct Axis {
    low: i32,
    high: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        // Noise can make a difference negative, which has no place on such an axis.
        let logs: Vec<f64> = values.filter(|value| *value > 0.0).map(f64::log10).collect();
        let low = logs.iter().copied().fold(f64::INFINITY, f64::min);
        let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return Self { low: 0, high: 1, from, to };
        }
        let (low, high) = (low.floor() as i32, high.ceil() as i32);
        Self { low, high: high.max(low + 1), from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let log = value.max(1e-9).log10().clamp(f64::from(self.low), f64::from(self.high));
        self.from
            + (self.to - self.from) * (log - f64::from(self.low)) / f64::from(self.high - self.low)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.low..=self.high).map(|power| 10_f64.powi(power))
    }
}

impl Lines {
    pub(super) fn to_svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| line.points.iter());
        let x = Axis::new(points().map(|point| point.0), LEFT, WIDTH - RIGHT);
        let y = Axis::new(points().map(|point| point.1), HEIGHT - BOTTOM, TOP);
        let mut svg = head(WIDTH, HEIGHT, self.title);
        self.axes(&mut svg, x, y);
        let mut names = Vec::new();
        for line in &self.lines {
            let places: Vec<String> = line
                .points
                .iter()
                .map(|(across, up)| format!("{:.1} {:.1}", x.at(*across), y.at(*up)))
                .collect();
            let _ = writeln!(svg, r#"<path class="l{}" d="M{}"/>"#, line.class, places.join(" L"));
            for (across, up) in &line.points {
                let _ = writeln!(
                    svg,
                    r#"<circle class="f{}" cx="{:.1}" cy="{:.1}" r="4"/>"#,
                    line.class,
                    x.at(*across),
                    y.at(*up)
                );
            }
            if let Some((across, up)) = line.points.last() {
                names.push((
                    y.at(*up),
                    x.at(*across),
                    format!("{} {}", line.name, short(*up)),
                    line.class,
                ));
            }
        }
        names.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut last = f64::NEG_INFINITY;
        for (wanted, across, name, class) in names {
            last = wanted.max(last + GAP);
            let _ = writeln!(
                svg,
                r#"<text class="name f{class}" x="{:.1}" y="{:.1}">{}</text>"#,
                across + 10.0,
                last + 4.0,
                escape(&name)
            );
        }
        if let Some((across, up, text)) = &self.mark {
            let (across, up) = (x.at(*across), y.at(*up));
            let _ = writeln!(svg, r#"<circle class="mark" cx="{across:.1}" cy="{up:.1}" r="8"/>"#);
            let _ = writeln!(
                svg,
                r#"<text x="{across:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                up - 16.0,
                escape(text)
            );
        }
        svg + "</svg>\n"
    }

    fn axes(&self, svg: &mut String, x: Axis, y: Axis) {
        for tick in x.ticks() {
            let at = x.at(tick);
            let _ = writeln!(
                svg,
                r#"<line class="grid" x1="{at:.1}" y1="{:.1}" x2="{at:.1}" y2="{:.1}"/>"#,
                y.from, y.to
            );
            let _ = writeln!(
                svg,
                r#"<text class="small" x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                y.from + 18.0,
                short(tick)
            );
        }
        for tick in y.ticks() {
            let at = y.at(tick);
            let _ = writeln!(
                svg,
                r#"<line class="grid" x1="{:.1}" y1="{at:.1}" x2="{:.1}" y2="{at:.1}"/>"#,
                x.from, x.to
            );
            let _ = writeln!(
                svg,
                r#"<text class="small" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
                x.from - 8.0,
                at + 4.0,
                short(tick)
            );
        }
        let (middle, under) = (f64::midpoint(x.from, x.to), HEIGHT - 18.0);
        let _ = writeln!(
            svg,
            r#"<text class="small" x="{middle:.1}" y="{under:.1}" text-anchor="middle">{}</text>"#,
            escape(self.x)
        );
        let _ = writeln!(
            svg,
            r#"<text class="small" x="16" y="{:.1}">{}</text>"#,
            TOP - 20.0,
            escape(self.y)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_spans_whole_powers_of_ten() {
        let axis = Axis::new([3.0, 0.0, 5_000.0].into_iter(), 0.0, 400.0);
        assert_eq!((axis.low, axis.high), (0, 4));
        assert!((axis.at(100.0) - 200.0).abs() < 1e-9);
        assert!((axis.at(-5.0) - 0.0).abs() < 1e-9, "what is below the axis is on it");
        assert_eq!((Axis::new(std::iter::empty(), 0.0, 1.0).high), 1);
    }
}
