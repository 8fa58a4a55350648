//! The cookies of a request (RFC 6265 section 4.2), which origins read in several ways.

use std::borrow::Cow;
use std::fmt;

/// What an origin does besides splitting `Cookie` at each `;`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dialect {
    /// Splits at commas too (RFC 2109 section 4.4, and Java servers to this day).
    commas: bool,
    /// Takes the quotes off a value that begins with one, and what they escape with `\` (Werkzeug,
    /// Go, Tomcat, Node's `cookie`).
    quotes: bool,
    /// Percent-decodes values (PHP, Node's `cookie`).
    escapes: bool,
    /// Splits at blanks too (Python's `http.cookies`).
    blanks: bool,
    /// Takes what stands behind `j:` for JSON (Express), where that is a text.
    json: bool,
    /// Takes `+` for a blank (Rack).
    pluses: bool,
}

impl Dialect {
    /// The dialects that may give different values for cookies of these names in these `Cookie`
    /// lines, the plain one first. Without names, all cookies count.
    pub fn all<'a>(
        lines: impl Iterator<Item = &'a [u8]>,
        names: Option<&[String]>,
    ) -> Vec<Dialect> {
        let mut all = vec![Dialect::default()];
        let mut has = [false; 6];
        let is_asked = |pair: &[u8]| {
            let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
            names.is_none_or(|names| names.iter().any(|asked| is_named(name, asked).is_some()))
        };
        for pair in lines.flat_map(|line| line.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii)
        {
            let parting = |byte: &u8| matches!(byte, b',' | b' ' | b'\t');
            // What follows a comma or a blank may be a cookie of its own.
            let asked =
                is_asked(pair) || (pair.iter().any(parting) && pair.split(parting).any(is_asked));
            if !asked {
                continue;
            }
            let holds = |wanted: &[u8]| pair.windows(wanted.len()).any(|found| found == wanted);
            let escapes = holds(b"%");
            // `j%3A` is `j:` once decoded.
            let json = escapes || holds(b"j:");
            let found = [
                holds(b","),
                holds(b"\""),
                escapes,
                json,
                holds(b"+"),
                holds(b" ") || holds(b"\t"),
            ];
            for (has, found) in has.iter_mut().zip(found) {
                *has |= found;
            }
        }
        let changes: [fn(Dialect) -> Dialect; 6] = [
            |dialect| Dialect { commas: true, ..dialect },
            |dialect| Dialect { quotes: true, ..dialect },
            |dialect| Dialect { escapes: true, ..dialect },
            |dialect| Dialect { json: true, ..dialect },
            |dialect| Dialect { pluses: true, ..dialect },
            |dialect| Dialect { blanks: true, ..dialect },
        ];
        for (_, change) in has.into_iter().zip(changes).filter(|(has, _)| *has) {
            let changed: Vec<Dialect> = all.iter().copied().map(change).collect();
            all.extend(changed);
        }
        all
    }

    fn value(self, written: &[u8]) -> Option<String> {
        let mut value = Cow::Borrowed(written.trim_ascii());
        if self.quotes
            && let Some(rest) = value.strip_prefix(b"\"")
        {
            value = Cow::Owned(unescaped(rest.split_last().map_or(&[], |(_, inside)| inside)));
        }
        if self.pluses {
            value = Cow::Owned(
                value.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect(),
            );
        }
        if self.escapes {
            value = Cow::Owned(crate::path::decode(&value));
        }
        if self.json
            && let Some(json) = value.strip_prefix(b"j:")
        {
            match serde_json::from_slice::<String>(json) {
                Ok(text) => value = Cow::Owned(text.into_bytes()),
                // No origin reads an object or a list as a text.
                Err(_) => return std::str::from_utf8(&value).ok().map(str::to_owned),
            }
        }
        // Origins that decode first (Python) trim white space other than ASCII's, too.
        std::str::from_utf8(&value).ok().map(|value| value.trim().to_owned())
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.commas, "split at commas"),
            (self.blanks, "split at blanks"),
            (self.quotes, "without quotes"),
            (self.escapes, "percent-decoded"),
            (self.json, "as JSON behind `j:`"),
            (self.pluses, "`+` as a blank"),
        ];
        let parts: Vec<&str> =
            parts.into_iter().filter(|(is, _)| *is).map(|(_, what)| what).collect();
        f.write_str(&parts.join(", "))
    }
}

/// Why a cookie has no one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// Its value is not UTF-8.
    NotUtf8,
    /// It is there twice, with two values. Origins differ in which they choose.
    TwoValues,
    /// It is there only under a name that some origins take for this one.
    OtherName,
}

/// The value of the cookie of this name in these `Cookie` lines.
pub fn find<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    name: &str,
    dialect: Dialect,
) -> Result<String, Fault> {
    let mut found: Option<String> = None;
    let ends = |byte: &u8| {
        *byte == b';'
            || (dialect.commas && *byte == b',')
            || (dialect.blanks && matches!(*byte, b' ' | b'\t'))
    };
    for pair in lines.flat_map(|line| line.split(ends)) {
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { continue };
        let (written, value) = pair.split_at_checked(equals).unwrap_or((pair, b""));
        match is_named(written, name) {
            None => continue,
            Some(false) => return Err(Fault::OtherName),
            Some(true) => {}
        }
        let value =
            dialect.value(value.strip_prefix(b"=").unwrap_or(value)).ok_or(Fault::NotUtf8)?;
        if found.replace(value.clone()).is_some_and(|before| before != value) {
            return Err(Fault::TwoValues);
        }
    }
    found.ok_or(Fault::Missing)
}

/// Whether some origin may find a cookie of this name in what stands between two `;`.
pub fn may_be(part: &[u8], name: &str) -> bool {
    let is_it = |pair: &[u8]| {
        let written = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        is_named(written, name).is_some()
    };
    is_it(part) || part.split(|byte| matches!(byte, b',' | b' ' | b'\t')).any(is_it)
}

/// Whether a name as it is written is the one asked for: to every origin, or to some alone. PHP
/// makes `_` of what no variable's name may have, and a list of `role[]`; ASP.NET does not mind the
/// case of letters; older versions of PHP and Rack decode names.
fn is_named(written: &[u8], name: &str) -> Option<bool> {
    let (written, name) = (written.trim_ascii(), name.as_bytes());
    let php = |byte: &u8| if matches!(byte, b'.' | b' ' | b'[') { b'_' } else { *byte };
    if written.len() == name.len() && written.iter().map(php).eq(name.iter().map(php)) {
        return Some(true);
    }
    // Most names differ at their start.
    let starts = |byte: Option<&u8>| byte.map(u8::to_ascii_lowercase);
    if !written.contains(&b'%') && starts(written.first()) != starts(name.first()) {
        return None;
    }
    let decoded = crate::path::decode(written);
    let whole = decoded.split(|byte| matches!(byte, b'[' | 0)).next().unwrap_or_default();
    let fold = |byte: &u8| php(byte).to_ascii_lowercase();
    whole.iter().map(fold).eq(name.iter().map(fold)).then_some(false)
}

/// What stands for itself behind a backslash, or is a byte in three octal digits.
fn unescaped(quoted: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            plain.push(byte);
        } else if let Some(([a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'], after)) =
            after.split_first_chunk::<3>()
        {
            plain.push(((a & 3) << 6) | ((b & 7) << 3) | (c & 7));
            rest = after;
        } else if let Some((&escaped, after)) = after.split_first() {
            plain.push(escaped);
            rest = after;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// Each reading's value of the cookie `role`.
    fn read(cookies: &[u8]) -> Vec<Result<String, Fault>> {
        let names = ["role".to_owned()];
        let dialects = Dialect::all(std::iter::once(cookies), Some(&names));
        dialects
            .into_iter()
            .map(|dialect| find(std::iter::once(cookies), "role", dialect))
            .collect()
    }

    #[test]
    fn a_plain_cookie_has_one_reading() {
        for cookies in
            ["role=admin", "a=b; role=admin;c", "x=1;\trole=admin", "role=admin; role=admin"]
        {
            assert_eq!(read(cookies.as_bytes()), [Ok("admin".to_owned())], "{cookies}");
        }
        assert_eq!(read(b"roles=admin; role"), [Err(Fault::Missing)]);
        for cookies in
            ["Role=admin", "role[]=admin", "role[0]=admin", "x=1; ROLE=a", "rol%65=admin"]
        {
            let read = read(cookies.as_bytes());
            assert!(read.contains(&Err(Fault::OtherName)), "{cookies}: {read:?}");
        }
        assert_eq!(read(b"role=a; role=b"), [Err(Fault::TwoValues)]);
        assert_eq!(read(b"role=admin; x=\xff"), [Ok("admin".to_owned())]);
        assert_eq!(read(b"role=admin\xff"), [Err(Fault::NotUtf8)]);
        assert_eq!(read("role=admin\u{a0}".as_bytes()), [Ok("admin".to_owned())]);
    }

    #[test]
    fn what_some_origin_reads_is_among_the_readings() {
        for cookies in [
            r#"role="admin""#,
            r#"role="adm\151n""#,
            r#"role="ad\min""#,
            "role=%61dmin",
            r#"role="%61dmin""#,
            "a=b,role=admin",
            r#"a="b,role=%61dmin"#,
            r#"role=j:"admin""#,
            "role=j%3A%22admin%22",
            "a=b role=admin",
            "role=admin a=b",
            r#"a="x y" role=%61dmin"#,
        ] {
            let read = read(cookies.as_bytes());
            assert!(read.contains(&Ok("admin".to_owned())), "{cookies}: {read:?}");
            assert!(read.len() > 1, "{cookies}");
        }
    }

    #[test]
    fn other_cookies_do_not_multiply_readings() {
        for cookies in [
            "role=user; x=\"%7B, j: + \"",
            "x=a+b%20c; role=user",
            "_ga=GA1.2.3; prefs={\"a\": \"b, c\"}; role=user",
        ] {
            assert_eq!(read(cookies.as_bytes()), [Ok("user".to_owned())], "{cookies}");
        }
        assert!(read(b"x=1\trole=admin").contains(&Ok("admin".to_owned())));
    }

    #[test]
    fn a_cookie_may_be_there_in_every_reading() {
        for part in
            ["sid=1", " sid=1", "SID=1", "sid", "s%69d=1", "sid[]=1", "a=b, sid=1", "a=\"b sid=1"]
        {
            assert!(may_be(part.as_bytes(), "sid"), "{part}");
        }
        for part in ["", "sids=1", "a=sid", "xsid=1"] {
            assert!(!may_be(part.as_bytes(), "sid"), "{part}");
        }
    }

    #[test]
    fn names_are_read_as_php_reads_them() {
        for written in ["user.role", "user role", "user_role", "user[role"] {
            let line = format!("{written}=admin");
            let found = find(std::iter::once(line.as_bytes()), "user_role", Dialect::default());
            assert_eq!(found.as_deref(), Ok("admin"), "{written}");
        }
    }
}
