//! Methods, paths, queries and hosts.

use crate::attack::random::Random;

pub(super) fn method(random: &mut Random, http2: bool) -> Vec<u8> {
    // In HTTP/1.1 Envoy takes the methods that it knows, and closes the connection for all others.
    let known = ["DELETE", "GET", "POST", "PUT", "PATCH", "OPTIONS"];
    let guises = ["delete", "Delete", "dELETE", "DeLeTe", "deletE", "DELETEX", "delet", "get"];
    let broken = [" DELETE", "DELETE ", "\u{ff24}ELETE", "DELETE\t"];
    let method = match random.below(100) {
        0 => random.one(&broken),
        1..=3 => random.one(&guises),
        4..=69 if http2 => random.one(&guises),
        _ => random.one(&known),
    };
    method.as_bytes().to_vec()
}

const SLASHES: &[&str] = &[
    "/",
    "/",
    "//",
    "\\",
    "%2f",
    "%2F",
    "%5c",
    "%252f",
    "%c0%af",
    "%e0%80%af",
    "%f0%80%80%af",
    "%F8%80%80%80%AF",
    "%FC%80%80%80%80%AF",
    "%EF%BC%8F",
    "%ef%bc%bc",
    "\u{ff0f}",
    ";/",
    "%20/",
    "%09/",
    "%00/",
    "?/",
    "%3b/",
    "%23/",
];
const DOTS: &[&str] = &[
    "..",
    "..",
    ".",
    "%2e%2e",
    ".%2E",
    "%252e%252e",
    "%c0%ae%c0%ae",
    "%EF%BC%8E%EF%BC%8E",
    "\u{ff0e}\u{ff0e}",
    "..;x=1",
    "..%20",
    "..%00",
    "%2e%2e%20",
    "..%3b",
    "..%09",
    "%FC%80%80%80%80%AE.",
];
const ADMINS: &[&str] = &[
    "admin",
    "admin",
    "%61dmin",
    "ad%6Din",
    "%2561dmin",
    "adm%c1%a9n",
    "%EF%BD%81dmin",
    "\u{ff41}dmin",
    "admin%20",
    "admin;x",
    "admin%3bx",
    "admin%00",
    "admin%09",
    "admin.",
    "%20admin",
    "admin%2fx",
    "admin%F8%80%80%80%AFx",
    "%FC%80%80%80%81%A1dmin",
];

pub(super) fn path(random: &mut Random) -> Vec<u8> {
    let mut path = "/".to_owned();
    for _ in 0..random.below(3) {
        path.push_str(random.one(&["x", "zen", "repos", "%78", "", "a;b"]));
        path.push_str(random.one(SLASHES));
        if random.percent(75) {
            path.push_str(random.one(DOTS));
            path.push_str(random.one(SLASHES));
        }
    }
    path.push_str(random.one(ADMINS));
    if random.percent(30) {
        path.push_str(random.one(SLASHES));
        path.push_str(random.one(&["x", "", "users"]));
    }
    if random.percent(15) {
        path.push_str(random.one(&["?a=b", "?a=b", "?", "?", "%3f", "%ff", "%23", "#x"]));
    }
    let mut bytes = path.into_bytes();
    if random.percent(5) {
        let place = 1 + random.below(bytes.len());
        bytes.insert(place, random.one(&[0xff, 0x80, 0xc0, b'%', b'\t']));
    }
    bytes
}

pub(super) fn query(random: &mut Random) -> Vec<u8> {
    const NAMES: &[&str] =
        &["q", "q", "q", "%71", "q[]", "q%5B%5D", "q[0]", "Q", "q%00", "a", "%ff", "q%20"];
    const VALUES: &[&str] = &[
        "admin",
        "admin",
        "admin",
        "%61dmin",
        "ad%6Din",
        "%2561dmin",
        "admin+",
        "+admin",
        "%ff",
        "admin%ff",
        "admin%00",
        "admin%",
        "admin%2",
        "ad+min",
        "user",
        "",
        "admin=",
        "%EF%BC%A1dmin",
        "admin%u0061",
    ];
    let mut text = random.one(&["/zen?", "/zen?", "/?", "/zen??", "/zen?&", "/zen?;"]).to_string();
    for place in 0..=random.below(4) {
        if place > 0 {
            text.push_str(random.one(&["&", "&", "&", ";", "&&", "&;", "%26", ","]));
        }
        text.push_str(random.one(NAMES));
        if random.percent(95) {
            text.push('=');
            text.push_str(random.one(VALUES));
        }
    }
    let mut bytes = text.into_bytes();
    if random.percent(1) {
        bytes.extend_from_slice(b"#x");
    }
    if random.percent(10) {
        let place = 2 + random.below(bytes.len() - 1);
        bytes.insert(place.min(bytes.len()), random.one(&[0xff, 0x80, 0xc3, b'%', b'+']));
    }
    bytes
}

pub(super) fn host(random: &mut Random, own: &str) -> Vec<u8> {
    let other = "role.attack.example";
    // What is no host at all ends the connection.
    let host = match random.below(48) {
        0 => format!("{own}@{other}"),
        1 => format!("{other}@{own}"),
        2 => format!("{own} "),
        3 => format!("{own}#{other}"),
        4 => format!("{own}/{other}"),
        5 => format!("{own}\\{other}"),
        6..=13 => other.to_owned(),
        14..=21 => own.to_uppercase(),
        22..=29 => format!("{own}:80"),
        30..=35 => format!("{own}:443"),
        36..=43 => format!("{own}."),
        _ => format!("{own},{other}"),
    };
    host.into_bytes()
}
