//! Horizontal bars on a linear scale.

use std::fmt::Write;

use super::{escape, head, short};

pub(super) struct Bars {
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) bars: Vec<Bar>,
}

pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: f64,
    pub(super) range: Option<(f64, f64)>,
    pub(super) class: &'static str,
}

const WIDTH: f64 = 860.0;
const LEFT: f64 = 300.0;
const RIGHT: f64 = 80.0;
const TOP: f64 = 48.0;
const ROW: f64 = 24.0;

impl Bars {
    pub(super) fn to_svg(&self) -> String {
        let bottom = TOP + ROW * self.bars.len() as f64;
        let mut svg = head(WIDTH, bottom + 56.0, self.title);
        let most = self
            .bars
            .iter()
            .map(|bar| bar.range.map_or(bar.value, |(_, high)| high.max(bar.value)))
            .fold(0.0, f64::max);
        let step = step(most);
        let end = (most / step).ceil().max(1.0) * step;
        let x = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * value.max(0.0) / end;
        let mut tick = 0.0;
        while tick <= end {
            let at = x(tick);
            let _ = writeln!(
                svg,
                r#"<line class="grid" x1="{at:.1}" y1="{TOP}" x2="{at:.1}" y2="{bottom:.1}"/>"#
            );
            let y = bottom + 18.0;
            let _ = writeln!(
                svg,
                r#"<text class="small" x="{at:.1}" y="{y:.1}" text-anchor="middle">{}</text>"#,
                short(tick)
            );
            tick += step;
        }
        for (index, bar) in self.bars.iter().enumerate() {
            let y = TOP + ROW * index as f64;
            let (text_y, bar_y, middle) = (y + 16.0, y + 4.0, y + ROW / 2.0);
            let _ = writeln!(
                svg,
                r#"<text x="{:.1}" y="{text_y:.1}" text-anchor="end">{}</text>"#,
                LEFT - 8.0,
                escape(&bar.label)
            );
            let (width, class) = (x(bar.value) - LEFT, bar.class);
            let _ = writeln!(
                svg,
                "<rect class=\"f{class}\" x=\"{LEFT}\" y=\"{bar_y:.1}\" width=\"{width:.1}\" \
                 height=\"{:.1}\"/>",
                ROW - 8.0
            );
            let mut label = x(bar.value);
            if let Some((low, high)) = bar.range {
                let (from, to) = (x(low), x(high));
                let _ = writeln!(
                    svg,
                    "<line class=\"range\" x1=\"{from:.1}\" y1=\"{middle:.1}\" x2=\"{to:.1}\" \
                     y2=\"{middle:.1}\"/>"
                );
                label = label.max(to);
            }
            let _ = writeln!(
                svg,
                r#"<text x="{:.1}" y="{text_y:.1}">{}</text>"#,
                label + 6.0,
                short(bar.value)
            );
        }
        let _ = writeln!(
            svg,
            r#"<text class="small" x="16" y="{:.1}">{}</text>"#,
            bottom + 42.0,
            escape(self.unit)
        );
        svg + "</svg>\n"
    }
}

/// A round step that divides a scale into four to ten parts.
fn step(most: f64) -> f64 {
    let power = 10_f64.powf((most.max(1e-9) / 4.0).log10().floor());
    [5.0, 2.0, 1.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|step| most / step >= 4.0)
        .unwrap_or(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_has_round_steps() {
        for (most, expected) in [(13.0, 2.0), (4.0, 1.0), (100.0, 20.0), (23_456.0, 5_000.0)] {
            assert!((step(most) - expected).abs() < 1e-9, "{most}: {}", step(most));
        }
    }

    #[test]
    fn each_bar_is_as_long_as_its_value() {
        let bar = |value| Bar { label: "a".to_owned(), value, range: None, class: "0" };
        let svg = Bars { title: "t", unit: "u", bars: vec![bar(10.0), bar(5.0)] }.to_svg();
        assert!(svg.contains(r#"width="480.0""#) && svg.contains(r#"width="240.0""#), "{svg}");
    }
}
