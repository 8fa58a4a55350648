//! Charts as SVG: bars, and lines over two logarithmic axes. The colours follow the reader's light
//! or dark scheme.

mod bars;
mod lines;

use super::Figures;
use super::bars::{emulated, line};
use super::statistics::{crossing, quartiles};
use super::subject::{Asked, Subject};
use bars::{Bar, Bars};
use lines::{Line, Lines};

/// All charts, each with its file's name.
pub(super) fn all(figures: &Figures) -> Vec<(&'static str, String)> {
    vec![
        ("workshop.svg", workshop(figures)),
        ("policies.svg", policies(figures)),
        ("fuel.svg", fuel(figures)),
    ]
}

fn workshop(figures: &Figures) -> String {
    let mut bars = Vec::new();
    for group in figures.groups.iter().filter(|group| group.name == "workshop") {
        for row in group.rows.iter().filter(|row| row.subject != Subject::NoFilter) {
            let [low, middle, high] = quartiles(&group.added(row));
            let label = if row.asked == Asked::Denied {
                format!("{}, denied", row.subject.name())
            } else {
                row.subject.name()
            };
            bars.push(Bar {
                label,
                value: middle,
                range: Some((low, high)),
                class: class(row.subject),
            });
        }
    }
    Bars {
        title: "What the workshop's policies add to a request",
        unit: "microseconds of Envoy's processor time over no filter; median, and a line from \
               quartile to quartile",
        bars,
    }
    .to_svg()
}

fn policies(figures: &Figures) -> String {
    let (ours, native) = (line(figures, Subject::Amid), line(figures, Subject::Native));
    let cross = crossing(&native, &ours);
    let at = |points: &[(f64, f64)], x: f64| {
        points.windows(2).find_map(|pair| match *pair {
            [(left, low), (right, high)] if (left..=right).contains(&x) => {
                // As the line is drawn, on logarithmic axes.
                Some(low * (high / low).powf((x / left).ln() / (right / left).ln()))
            }
            _ => None,
        })
    };
    let mark = cross.and_then(|x| Some((x, at(&ours, x)?, format!("{x:.0} policies"))));
    let line = |name: &str, points, class| Line { name: name.to_owned(), points, class };
    Lines {
        title: "What policies that are for others cost a request",
        x: "policies beside the workshop's, none of which can match",
        y: "microseconds of processor time over no filter",
        lines: vec![
            line("native RBAC, list", native, "1"),
            line("the same, halfway", self::line(figures, Subject::NativeHalfway), "4"),
            line("Lua tables", self::line(figures, Subject::Lua), "2"),
            line("native RBAC, tree", self::line(figures, Subject::Tree), "3"),
            line("ours", ours, "0"),
        ],
        mark,
    }
    .to_svg()
}

fn fuel(figures: &Figures) -> String {
    let mut subjects =
        vec![Subject::Empty, Subject::Floor, Subject::FloorBinding, Subject::WorkshopUnbound];
    subjects.extend([
        Subject::Workshop,
        Subject::WorkshopDenied,
        Subject::WorkshopAll,
        Subject::Macro,
    ]);
    subjects.extend(
        figures
            .emulated
            .iter()
            .map(|row| row.subject)
            .filter(|subject| matches!(subject, Subject::Amid(_))),
    );
    let bars = subjects.into_iter().filter_map(|subject| {
        let value = emulated(figures, subject)?.request(Asked::Allowed)?.fuel as f64;
        Some(Bar { label: subject.name(), value, range: None, class: class(subject) })
    });
    Bars {
        title: "What an allowed request executes in the guest",
        unit: "wasm instructions (fuel)",
        bars: bars.collect(),
    }
    .to_svg()
}

fn class(subject: Subject) -> &'static str {
    match subject {
        Subject::Native(_) | Subject::NativeHalfway(_) => "1",
        Subject::Tree(_) => "3",
        Subject::Lua(_) => "2",
        Subject::NoFilter | Subject::Empty | Subject::Floor | Subject::FloorBinding => "4",
        _ => "0",
    }
}

/// Colours by class, on light and on dark.
const COLOURS: [(&str, [&str; 2]); 5] = [
    ("0", ["#0969da", "#58a6ff"]),
    ("1", ["#bc4c00", "#f0883e"]),
    ("2", ["#8250df", "#bc8cff"]),
    ("3", ["#1a7f37", "#3fb950"]),
    ("4", ["#818b98", "#9198a1"]),
];

/// The start of a picture: its size, its title for those who cannot see it, and colours for light
/// and dark.
fn head(width: f64, height: f64, title: &str) -> String {
    let title = escape(title);
    // Plain rules for each colour instead of variables, since not only browsers read this.
    let rules = |scheme: usize| -> String {
        let rule = |(class, colours): (&str, [&str; 2])| {
            let colour = colours[scheme];
            format!(
                ".f{class}, text.f{class} {{ fill: {colour}; }} .l{class} {{ stroke: {colour}; }}"
            )
        };
        COLOURS.into_iter().map(rule).collect::<Vec<_>>().join("\n")
    };
    let (light, dark) = (rules(0), rules(1));
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"
  width="{width}" height="{height}" role="img" aria-label="{title}">
<style>
text {{ font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }}
text.title {{ font-size: 16px; font-weight: 600; }}
text.small {{ font-size: 12px; fill: #59636e; }}
text.name {{ font-weight: 600; }}
.grid {{ stroke: #d1d9e0; stroke-width: 1; }}
.range, .mark {{ stroke: #1f2328; stroke-width: 1.5; fill: none; }}
path {{ fill: none; stroke-width: 2.5; }}
.back {{ fill: #ffffff; }}
{light}
@media (prefers-color-scheme: dark) {{
text {{ fill: #e6edf3; }}
text.small {{ fill: #9198a1; }}
.grid {{ stroke: #3d444d; }}
.range, .mark {{ stroke: #e6edf3; }}
.back {{ fill: #0d1117; }}
{dark}
}}
</style>
<rect class="back" width="{width}" height="{height}"/>
<text class="title" x="16" y="28">{title}</text>
"#
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// A number with as many digits as are significant.
fn short(value: f64) -> String {
    if value.abs() >= 10_000.0 {
        format!("{:.0}k", value / 1e3)
    } else if value.abs() >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, expected) in
            [(0.0, "0"), (4.25, "4.2"), (99.96, "100.0"), (145.4, "145"), (12_345.0, "12k")]
        {
            assert_eq!(short(value), expected);
        }
    }

    #[test]
    fn a_text_is_no_markup() {
        assert_eq!(escape("a < b & \"c\""), "a &lt; b &amp; &quot;c&quot;");
    }
}
