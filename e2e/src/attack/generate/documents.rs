//! Cookies, JSON and tokens: values with a grammar of their own, which origins often ignore.

use crate::attack::random::Random;
use crate::attack::request::Field;

pub(super) fn cookies(random: &mut Random, fields: &mut Vec<Field>) {
    const PAIRS: &[&[u8]] = &[
        b"role=admin",
        b"role=admin",
        b"role=admin",
        b"role=\"admin\"",
        b"role=%61dmin",
        b"role=\"%61dmin\"",
        b"role=\"ad\\155in\"",
        b"role=\"ad\\min\"",
        b"role= admin",
        b"role =admin",
        b"role=\tadmin\t",
        b"role=admin\xff",
        b"role=\"admin\"x",
        b"ROLE=admin",
        b"role",
        b"role=",
        b"role=user",
        b"=admin",
        b"$Version=1",
        b"x=\xff",
        b"\xff=x",
        b"x=\"a;role=admin\"",
        b"x=1,role=admin",
        b"x=%ff",
        b"x",
        b"",
        b"y=a=b",
        b"role=ad%6",
        b"role=adm%ffin",
    ];
    for _ in 0..=usize::from(random.percent(20)) {
        let mut line = Vec::new();
        for place in 0..=random.below(3) {
            if place > 0 {
                line.extend_from_slice(random.one(&[
                    &b"; "[..],
                    b";",
                    b" ; ",
                    b";\t",
                    b";;",
                    b", ",
                ]));
            }
            line.extend_from_slice(random.one(PAIRS));
        }
        if random.percent(10) {
            line.insert(0, random.one(b" \t;"));
        }
        fields.push((random.one(&["cookie", "Cookie", "COOKIE"]).as_bytes().to_vec(), line));
    }
}

/// A value that must get through.
const HARMLESS: &[u8] = br#"{"user":"ann","n":1}"#;

/// An object whose field `user` is `root` to many a parser.
pub(in crate::attack) fn json(random: &mut Random) -> Vec<u8> {
    const USERS: &[&str] = &[
        r#""user":"a""#,
        r#""user":"ann""#,
        r#""user":"root""#,
        r#""user":"root""#,
        r#""us\u0065r":"root""#,
        r#""user":"\u0072oot""#,
        r#""user":"a","user":"root""#,
        r#""user":"root","user":"a""#,
        r#""user" : "root" "#,
        r#""user":["root"]"#,
        r#""user":"roo\x74""#,
    ];
    const OTHERS: &[&[u8]] = &[
        b"",
        b"",
        br#""n":1e999"#,
        br#""s":"\ud800""#,
        br#""n":NaN"#,
        br#""n":-Infinity"#,
        br#""n":01"#,
        b"\"s\":\"\xff\"",
        br#""o":{"a":[1,2,]}"#,
        br#""n":1."#,
        br#""s":"\x""#,
        br#""n":123456789012345678901234567890"#,
        br#""u":tru"#,
        b"\"s\":\"\t\"",
        br#""n":+1"#,
        br#""n":0x10"#,
    ];
    if random.percent(10) {
        return HARMLESS.to_vec();
    }
    let user = random.one(USERS).as_bytes();
    let other = random.one(OTHERS);
    let comma: &[u8] = if other.is_empty() { b"" } else { b"," };
    let end: &[u8] =
        random.one(&[&b"}"[..], b"}", b"}", b",}", b"} ", b"}x", b"}}", b"}\xff", b""]);
    let start: &[u8] =
        random.one(&[&b"{"[..], b"{", b"{", b"\xef\xbb\xbf{", b" {", b"{,", b"\xff{"]);
    if random.percent(50) {
        [start, user, comma, other, end].concat()
    } else {
        [start, other, comma, user, end].concat()
    }
}

/// A token with such an object for its claims.
pub(super) fn token(random: &mut Random) -> Vec<u8> {
    if random.percent(10) {
        return [b"h.", &base64(HARMLESS, false)[..], b".sig"].concat();
    }
    let mut payload = base64(&json(random), random.percent(20));
    match random.below(12) {
        0 => payload.push(b'='),
        1 => payload.extend_from_slice(b"=="),
        2 | 3 => {
            let place = random.below(payload.len() + 1);
            payload.insert(place, random.one(b" \t!\xff,~"));
        }
        _ => {}
    }
    let head: &[u8] =
        random.one(&[&b"eyJhbGciOiJub25lIn0"[..], b"eyJhbGciOiJub25lIn0", b"h", b"", b" h"]);
    let tail: &[u8] = random.one(&[&b".sig"[..], b".sig", b".", b"", b".a.b", b". "]);
    [head, b".", &payload, tail].concat()
}

fn base64(bytes: &[u8], standard: bool) -> Vec<u8> {
    let last = if standard { b"+/" } else { b"-_" };
    let letter = |sextet: u32| match sextet as u8 {
        small @ 0..26 => b'A' + small,
        small @ 26..52 => b'a' + (small - 26),
        small @ 52..62 => b'0' + (small - 52),
        other => last[usize::from(other == 63)],
    };
    let mut text = Vec::new();
    for chunk in bytes.chunks(3) {
        let whole = chunk.iter().fold(0u32, |whole, byte| whole << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        text.extend((0..=chunk.len()).map(|place| letter(whole >> (18 - 6 * place) & 63)));
    }
    text
}
