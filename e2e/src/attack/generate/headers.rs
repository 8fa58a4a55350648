//! Header lines that are one thing to a proxy and another to an origin.

use crate::attack::random::Random;
use crate::attack::request::Field;

/// Characters that a name may have in a dash's place.
const MARKS: &[u8] = b"_._.__..~!#$%&'*+^`|";

/// What may stand around a value without being part of it, or without being read.
const AROUND: &[&[u8]] = &[
    b" ",
    b"\t",
    b"  ",
    b" \t ",
    b"\xff",
    b"\x80",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"\xc2\xa0",
    b",",
    b", ",
    b" ,",
    b"%20",
];

/// Bytes for which Envoy ends the whole connection, and which are worth trying all the same.
const FORBIDDEN: &[&[u8]] = &[b"\0", b"\x0b", b"\x1f", b"\x7f", b"\r"];

/// A name as somebody may write it.
fn name(random: &mut Random, name: &str) -> Vec<u8> {
    let mut name = name.as_bytes().to_vec();
    match random.below(10) {
        0..=5 => {}
        6 => name.make_ascii_uppercase(),
        7 => name[0].make_ascii_uppercase(),
        _ => {
            let mark = random.one(MARKS);
            name.iter_mut().filter(|byte| **byte == b'-').for_each(|byte| *byte = mark);
        }
    }
    name
}

fn value(random: &mut Random, value: &[u8]) -> Vec<u8> {
    let around = |random: &mut Random| -> &[u8] {
        if random.below(400) == 0 { random.one(FORBIDDEN) } else { random.one(AROUND) }
    };
    match random.below(14) {
        0..=2 => value.to_vec(),
        3 | 4 => [around(random), value].concat(),
        5 | 6 => [value, around(random)].concat(),
        7 => [around(random), value, around(random)].concat(),
        8 => {
            let at = random.below(value.len() + 1);
            [&value[..at], around(random), &value[at..]].concat()
        }
        9 => [b"good", around(random), b",", value].concat(),
        10 => [value, b",", around(random), b"good"].concat(),
        11 => [b"\"", value, b"\""].concat(),
        12 => value.to_ascii_uppercase(),
        _ => Vec::new(),
    }
}

/// A line with this value.
pub(super) fn line(random: &mut Random, fields: &mut Vec<Field>, known: &str, value: Vec<u8>) {
    let mut value = value;
    if random.percent(15) {
        value.insert(0, random.one(b" \t"));
    }
    fields.push((name(random, known), value));
}

/// One or more lines of a header, most often with this value in some guise.
pub(super) fn lines(random: &mut Random, fields: &mut Vec<Field>, known: &str, bad: &[u8]) {
    let good: &[&[u8]] = &[b"good", b"safe", b"", b"user", b" ", b"\xff"];
    let hostile = (name(random, known), value(random, bad));
    match random.below(9) {
        0 => fields.extend([(name(random, known), random.one(good).to_vec()), hostile]),
        1 => fields.extend([hostile, (name(random, known), random.one(good).to_vec())]),
        2 => fields.extend([(name(random, known), value(random, bad)), hostile]),
        // A value that must get through, which shows that the way is open.
        3 => fields
            .push((name(random, known), random.one(&[&b"safe"[..], b"safe", b"good"]).to_vec())),
        _ => fields.push(hostile),
    }
}

/// Headers that claim where a request comes from.
pub(super) fn addresses(random: &mut Random, fields: &mut Vec<Field>) {
    let names = [
        ("x-forwarded-for", "10.1.2.3"),
        ("x-forwarded-for", "10.1.2.3, 127.0.0.1"),
        ("x-forwarded-for", "127.0.0.1, 10.1.2.3"),
        ("x-forwarded-for", "::ffff:10.1.2.3"),
        ("x-real-ip", "10.1.2.3"),
        ("forwarded", "for=10.1.2.3;proto=https"),
        ("x-forwarded-proto", "https"),
        ("x-envoy-external-address", "10.1.2.3"),
        ("x-envoy-original-path", "/zen"),
        (
            "x-forwarded-client-cert",
            "By=spiffe://cluster.local/ns/a/sa/a;URI=spiffe://cluster.local/ns/team-b/sa/team-b",
        ),
        ("x-envoy-original-dst-host", "10.1.2.3:80"),
        ("baggage", "k8s.namespace.name=admin"),
    ];
    for _ in 0..=random.below(3) {
        let (known, value) = random.one(&names);
        fields.push((name(random, known), value.as_bytes().to_vec()));
    }
}
