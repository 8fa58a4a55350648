//! Looks for pairs that cost more than the known ones: expressions and requests are made at random,
//! and the most expensive ones are varied further.

use super::{Cost, LARGE, LINES, Pair, denying, functions, try_pair};
use proxy_wasm_host::Module;

/// How many of the most expensive pairs are varied further.
const KEPT: usize = 12;
/// The longest expression that is tried.
const LONGEST: usize = 3_500;

/// What an expression is put into; `{f}` is a condition over `{x}`.
const FRAMES: &[&str] = &[
    "{f}",
    "request.headers.exists(h, {f})",
    "request.headers.all(h, !({f}))",
    "{x}.split('a', 60).exists(p, {p})",
    "[{x}, {x}, {x}, {x}].exists(p, {p})",
    "request.headers.map(h, {x}).exists(p, {p})",
    "cel.bind(p, {x}, {p})",
    "default({f}, true)",
    "request.headers.exists(p, {p})",
    "request.headers.transformList(k, p, {p}).exists(b, b)",
    "json({x}).exists(e, {f})",
    "[{x}].map(p, p + p).exists(p, {p})",
    "({f}) || ({f})",
    "({f}) && ({f})",
];

/// What a large text is made of.
const TEXTS: &[&str] = &[
    "a",
    "ab",
    "%61",
    ",a",
    "a=b;",
    "q=a&",
    "[1,",
    "{\"a\":",
    "\"a\",",
    "a b",
    "\u{e9}",
    "aaaaaaab",
    "0",
    "10.0.0.1",
    "a=\"%61\",",
];

/// A pair in the making.
#[derive(Debug, Clone)]
struct Made {
    conditions: Vec<String>,
    text: &'static str,
    length: usize,
    lines: usize,
}

/// Numbers that look random and are the same in every run of one seed (Steele and others,
/// SplitMix64).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all.get(self.below(all.len())).copied().unwrap_or_default()
    }
}

impl Made {
    fn new(random: &mut Random) -> Made {
        let conditions = vec![condition(random)];
        Made {
            conditions,
            text: random.of(TEXTS),
            length: random.below(LARGE),
            lines: random.below(LINES),
        }
    }

    fn changed(&self, random: &mut Random) -> Made {
        let mut made = self.clone();
        match random.below(7) {
            0 => made.text = random.of(TEXTS),
            1 => made.length = random.below(LARGE),
            2 => made.lines = random.below(LINES),
            3 => made.conditions = vec![condition(random)],
            4 => made.conditions.push(condition(random)),
            5 => made.conditions.extend(made.conditions.clone()),
            _ => {
                let which = random.below(made.conditions.len());
                if let Some(changed) = made.conditions.get_mut(which) {
                    *changed = framed(changed, random);
                }
            }
        }
        made.conditions.truncate(60);
        made
    }

    fn pair(&self) -> Pair {
        let conditions: Vec<String> = self
            .conditions
            .iter()
            .map(|condition| condition.replace("{x}", r#"request.headers["x"]"#))
            .collect();
        let expressions: Vec<&str> = conditions.iter().map(String::as_str).collect();
        let mut headers = vec![("x".to_owned(), self.text.repeat(self.length / self.text.len()))];
        headers.extend((0..self.lines).map(|index| (format!("h-{index}"), "v".to_owned())));
        let name = format!(
            "{} bytes of {:?}, {} lines: {}",
            self.length,
            self.text,
            self.lines,
            self.conditions.join(" | ")
        );
        Pair { name, configuration: denying(&expressions), path: "/".to_owned(), headers }
    }
}

fn condition(random: &mut Random) -> String {
    let plain = random.of(functions::OVER_A_TEXT).to_owned();
    let times = random.below(3);
    (0..times).fold(plain, |condition, _| framed(&condition, random))
}

fn framed(condition: &str, random: &mut Random) -> String {
    let over_a_part = random.of(functions::OVER_A_TEXT).replace("{x}", "p");
    let made = random.of(FRAMES).replace("{f}", condition).replace("{p}", &over_a_part);
    if made.len() > LONGEST { condition.to_owned() } else { made }
}

/// Tries this many pairs and returns the most expensive ones, the most expensive first.
#[must_use]
pub fn search(module: &Module, seed: u64, tries: usize) -> Vec<Cost> {
    let mut random = Random(seed);
    let mut dearest: Vec<(Made, Cost)> = Vec::new();
    for _ in 0..tries {
        let parent = random.below(dearest.len().saturating_mul(2).max(1));
        let made =
            dearest.get(parent).map_or_else(|| Made::new(&mut random), |(made, _)| made.clone());
        let made = if parent < dearest.len() { made.changed(&mut random) } else { made };
        let Some(cost) = try_pair(module, &made.pair()) else { continue };
        dearest.push((made, cost));
        dearest.sort_by_key(|(_, cost)| std::cmp::Reverse(cost.instructions));
        dearest.truncate(KEPT);
    }
    dearest.into_iter().map(|(_, cost)| cost).collect()
}
